"""From a run that fails to the decisions that matter: delta debugging over faults and actions.

An *atom* is one recorded decision or one action of the plan. A candidate leaves atoms out and is
played; it counts if the same invariant is violated first. First whole kinds go (a link's losses,
all crashes), then halves, quarters, … of what is left (Zeller and Hildebrandt, "Simplifying and
isolating failure-inducing input", IEEE TSE 2002), and last the devices that nobody needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from udpim.testing.choices import Tape
from udpim.testing.sim.plan import Plan
from udpim.testing.sim.run import Result, run

RUNS_MAX = 2000
"""Candidates that are played for one failure."""

Atom = tuple[str, str, int]
"""(``decision``, label, number), or (``action``, kind, its place in the plan)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """The smallest failing run that was found."""

    result: Result
    runs: int
    """Candidates played."""
    faults: int
    """Decisions and actions left that are trouble, sends and the like not counted."""


ORDINARY = {"send", "group", "join", "signal", "read"}
"""Actions that are no trouble."""


def faults_of(result: Result) -> int:
    """Count the decisions and actions of a run that are trouble."""
    actions = sum(action.kind not in ORDINARY for action in result.plan.actions)
    return actions + sum(len(made) for made in result.tape.values())


def shrink(
    failing: Result,
    *,
    runs_max: int = RUNS_MAX,
    enough: Callable[[], bool] = lambda: False,
    tell: Callable[[int, int], None] = lambda runs, atoms: None,
) -> Shrunk:
    """Leave out whatever the failure does not need.

    Args:
        failing: A run with a violated invariant.
        runs_max: Most candidates to be played.
        enough: Asked between candidates; true ends the search early.
        tell: Is told how many candidates were played and how many atoms are left.
    """
    search = _Search(failing, runs_max, enough, tell)
    search.settings()
    search.kinds()
    search.halves()
    search.seats()
    return Shrunk(result=search.best, runs=search.runs, faults=faults_of(search.best))


class _Search:
    """The smallest failing run so far, and what it still has."""

    def __init__(
        self,
        failing: Result,
        runs_max: int,
        enough: Callable[[], bool],
        tell: Callable[[int, int], None],
    ) -> None:
        self.best = failing
        self.runs = 0
        self._why = failing.violated[0]
        self._runs_max = runs_max
        self._enough = enough
        self._tell = tell

    # --- Candidates ---

    def _fails(self, plan: Plan, tape: Tape) -> bool:
        """Play a candidate; keep it if it fails in the same way."""
        if self.runs >= self._runs_max or self._enough():
            return False
        self.runs += 1
        result = run(plan, tape)
        if self._why not in result.violated:
            return False
        # What the candidate really did may be even less than what it was told.
        self.best = result
        self._tell(self.runs, len(self.atoms()))
        return True

    def atoms(self) -> list[Atom]:
        """Return all that can be left out, the tail of the run in front."""
        actions = [
            ("action", action.kind, place) for place, action in enumerate(self.best.plan.actions)
        ]
        decisions = [
            ("decision", label, number)
            for label, made in sorted(self.best.tape.items())
            for number in sorted(made)
        ]
        return [*decisions[::-1], *actions[::-1]]

    def _without(self, gone: set[Atom]) -> bool:
        plan = self.best.plan
        actions = tuple(
            action
            for place, action in enumerate(plan.actions)
            if ("action", action.kind, place) not in gone
        )
        tape = {
            label: {n: v for n, v in made.items() if ("decision", label, n) not in gone}
            for label, made in self.best.tape.items()
        }
        return self._fails(replace(plan, actions=actions), tape)

    # --- Passes ---

    def settings(self) -> None:
        """Try without encryption, without NATs, and on the plainest disks."""
        changes: list[dict[str, Any]] = [
            {"encrypted": False}, {"nat_s": 0.0}, {"disk": "objects"}, {"key_update_packets": 0},
            {"quiet": False}, {"limits": {}},
        ]  # fmt: skip
        for change in changes:
            plan = self.best.plan
            if any(getattr(plan, name) != value for name, value in change.items()):
                self._fails(replace(plan, **change), self.best.tape)

    def kinds(self) -> None:
        """Try without each kind of decision and each kind of action as a whole."""
        kinds = sorted({atom[:2] for atom in self.atoms()})
        for kind in kinds:
            self._without({atom for atom in self.atoms() if atom[:2] == kind})

    def halves(self) -> None:
        """Leave out ever smaller parts, until no single atom can go."""
        size = max(1, len(self.atoms()) // 2)
        while True:
            atoms, at, before = self.atoms(), 0, len(self.atoms())
            while at < len(atoms) and self.runs < self._runs_max and not self._enough():
                if self._without(set(atoms[at : at + size])):
                    atoms = self.atoms()
                else:
                    at += size
            if size == 1 and (len(atoms) == before or at < len(atoms)):
                return
            size = max(1, size // 2)

    def seats(self) -> None:
        """Try without each device that sends nothing and is sent nothing."""
        for seat in self.best.plan.seats[::-1]:
            plan = self.best.plan
            others = tuple(other for other in plan.seats if other != seat)
            users = {other.user for other in others}
            needed = any(
                action.args.get("who") == seat.host or action.args.get("to") not in (None, *users)
                for action in plan.actions
            )
            if others and not needed:
                self._fails(replace(plan, seats=others), self.best.tape)
