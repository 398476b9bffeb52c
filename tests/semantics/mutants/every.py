"""All mutants, by name."""

from tests.semantics.mutants import below, members, recipient, sender, server
from tests.semantics.mutants.mutant import MUTANTS

__all__ = ["MUTANTS", "below", "members", "recipient", "sender", "server"]
