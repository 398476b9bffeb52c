"""All mutants, by name."""

from tests.semantics.mutants import below, members, paths, recipient, sender, server
from tests.semantics.mutants.mutant import MUTANTS

__all__ = ["MUTANTS", "below", "members", "paths", "recipient", "sender", "server"]
