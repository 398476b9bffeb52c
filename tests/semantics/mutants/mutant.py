"""What a mutant is, and how it is planted: from here, never by a switch in udpim.

A mutant breaks one rule in a way in which it is broken in practice, and names the tests that must
notice. `Planting` replaces functions by name and puts everything back; it also counts how often the
planted code ran, for a test that fails without having reached the bug has not found it.
"""

import contextlib
import functools
from dataclasses import dataclass

from udpim.node import dispatch, reception

MUTANTS = {}
"""All mutants by name; filled by importing the modules that define them."""

DISPATCH = (
    dispatch._ROUTER_METHODS,
    reception._OUTBOX_METHODS,
    reception._INBOX_METHODS,
    reception._ONLINE,
    reception._LOGGING_IN,
)
"""Tables that hold methods as values, so a replaced method has to be replaced there as well."""


class TargetMissing(LookupError):
    """What a mutant replaces is not there any more."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug."""

    name: str
    item: int | None
    """Number in the list of subtle mistakes; None for a rule that only PROTOCOL.md has."""
    rule: str
    """What it breaks, as PROTOCOL.md says it."""
    killers: tuple[str, ...]
    """Node ids of tests, the one that ought to notice first in front."""
    plant: object
    """Called with a `Planting`."""


def mutant(rule, *killers, item=None):
    """Register a function that plants a bug."""

    def register(plant):
        name = plant.__name__
        assert name not in MUTANTS, f"two mutants are called {name}"
        MUTANTS[name] = Mutant(name, item, rule, killers, plant)
        return plant

    return register


class Planting:
    """The replacements of one mutant.

    Attributes:
        reached: How often replaced code ran.
    """

    def __init__(self):
        self.reached = 0
        self._undo = []

    def replace(self, owner, name):
        """Replace a function of a class or module; the new one gets the original in front."""

        def place(function):
            original = self._target(owner, name)
            if isinstance(original, property):

                def read(this):
                    self.reached += 1
                    return function(original.fget, this)

                self._put(owner, name, original, property(read))
                return function

            @functools.wraps(original)
            def planted(*args, **kwargs):
                self.reached += 1
                return function(original, *args, **kwargs)

            self._put(owner, name, original, planted)
            for table in DISPATCH:
                for key in [key for key, value in table.items() if value is original]:
                    table[key] = planted
                    self._undo.append(functools.partial(table.__setitem__, key, original))
            return function

        return place

    def _target(self, owner, name):
        if name not in vars(owner):
            raise TargetMissing(f"{owner.__name__} has no {name}")
        return vars(owner)[name]

    def _put(self, owner, name, original, new):
        setattr(owner, name, new)
        self._undo.append(functools.partial(setattr, owner, name, original))

    def undo(self):
        """Put everything back."""
        while self._undo:
            self._undo.pop()()


@contextlib.contextmanager
def planted(one):
    """Plant a mutant for a while."""
    planting = Planting()
    try:
        one.plant(planting)
        yield planting
    finally:
        planting.undo()
