"""From a run that fails to the decisions that matter: delta debugging over faults and actions.

An *atom* is one recorded decision or one action of the plan. A candidate leaves atoms out and is
played; it counts if the same invariant is violated. The boldest cuts come first, for each that
succeeds makes all further candidates quicker to play: everything, whole kinds (all losses, all
crashes), everybody who is not needed, the end of the run. Then halves, quarters, … of what is left
(Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from udpim.testing.choices import Tape
from udpim.testing.sim.plan import Plan
from udpim.testing.sim.run import Result, run

RUNS_MAX = 2000
"""Candidates that are played for one failure."""

END_STEPS = 5
"""How often the time in which a run must end is halved."""

Atom = tuple[str, str, int]
"""(``decision``, label, number), or (``action``, kind, its place in the plan)."""
Play = Callable[[Plan, Mapping[str, Mapping[int, int]]], Result]
"""Plays a candidate; what it found is what is violated."""


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
    play: Play | None = None,
) -> Shrunk:
    """Leave out whatever the failure does not need.

    Args:
        failing: A run with a violated invariant.
        runs_max: Most candidates to be played.
        enough: Asked between candidates; true ends the search early.
        tell: Is told how many candidates were played and how many atoms are left.
        play: Plays a candidate; None for `run`.
    """
    search = _Search(failing, runs_max, enough, tell, play=play or run)
    search.everything()
    search.kinds()
    search.seats()
    search.end()
    search.settings()
    search.halves("decision")
    search.halves("action")
    search.halves("decision", "action")
    search.seats()
    search.settings()
    return Shrunk(result=search.best, runs=search.runs, faults=faults_of(search.best))


class _Search:
    """The smallest failing run so far, and what it still has."""

    def __init__(
        self,
        failing: Result,
        runs_max: int,
        enough: Callable[[], bool],
        tell: Callable[[int, int], None],
        *,
        play: Play,
    ) -> None:
        self.best = failing
        self.runs = 0
        self._why = failing.violated[0]
        self._runs_max = runs_max
        self._enough = enough
        self._tell = tell
        self._play = play

    # --- Candidates ---

    def _over(self) -> bool:
        return self.runs >= self._runs_max or self._enough()

    def _fails(self, plan: Plan, tape: Tape) -> bool:
        """Play a candidate; keep it if it fails in the same way."""
        if self._over():
            return False
        self.runs += 1
        result = self._play(plan, tape)
        if self._why not in result.violated:
            return False
        # What the candidate really did may be even less than what it was told.
        self.best = result
        self._tell(self.runs, len(self.atoms()))
        return True

    def atoms(self, *sorts: str) -> list[Atom]:
        """Return all that can be left out, or only decisions or actions, the end in front."""
        actions = [
            ("action", action.kind, place) for place, action in enumerate(self.best.plan.actions)
        ]
        decisions = [
            ("decision", label, number)
            for label, made in sorted(self.best.tape.items())
            for number in sorted(made)
        ]
        all_of_it = [*decisions[::-1], *actions[::-1]]
        return [atom for atom in all_of_it if not sorts or atom[0] in sorts]

    def _without(self, gone: set[Atom]) -> bool:
        if not gone:
            return False
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

    def everything(self) -> None:
        """Try without any trouble, without all decisions, and without all actions but sends."""
        decisions = set(self.atoms("decision"))
        actions = {atom for atom in self.atoms("action") if atom[1] not in ORDINARY}
        if not self._without(decisions | actions) and not self._without(decisions):
            self._without(actions)

    def settings(self) -> None:
        """Try without encryption, without NATs, on the plainest disks, and on swift links."""
        changes: list[dict[str, Any]] = [
            {"encrypted": False}, {"nat_s": 0.0}, {"disk": "objects"}, {"key_update_packets": 0},
            {"quiet": False}, {"cluster": {}}, {"limits": {}}, {"crash_ratio": 0.0},
            {"link": {**self.best.plan.link, "rate_bits_per_s": None, "mtu_bytes": None}},
        ]  # fmt: skip
        for change in changes:
            plan = self.best.plan
            if any(getattr(plan, name) != value for name, value in change.items()):
                self._fails(replace(plan, **change), self.best.tape)

    def kinds(self) -> None:
        """Try without each kind of fault, of action, and of fault on one link, as a whole."""
        for name_of in (_sort_of, _label_of):
            for name in sorted({name_of(atom) for atom in self.atoms()}):
                self._without({atom for atom in self.atoms() if name_of(atom) == name})

    def end(self) -> None:
        """Let the run end as early as it can."""
        low, high = 0.0, self.best.plan.length_s
        for _ in range(END_STEPS):
            middle = round((low + high) / 2, 3)
            plan = self.best.plan
            actions = tuple(action for action in plan.actions if action.at_s < middle)
            if self._fails(replace(plan, actions=actions, length_s=middle), self.best.tape):
                high = middle
            else:
                low = middle

    def halves(self, *sorts: str) -> None:
        """Leave out ever smaller parts, until no single atom can go."""
        size = max(1, len(self.atoms(*sorts)) // 2)
        while True:
            atoms, at = self.atoms(*sorts), 0
            before = len(atoms)
            while at < len(atoms) and not self._over():
                if self._without(set(atoms[at : at + size])):
                    atoms = self.atoms(*sorts)
                else:
                    at += size
            if size == 1 and (len(atoms) == before or at < len(atoms)):
                return
            size = max(1, size // 2)

    def seats(self) -> None:
        """Try without each device and all that it does or is sent; a user goes with the last."""
        for seat in self.best.plan.seats[::-1]:
            plan = self.best.plan
            others = tuple(other for other in plan.seats if other != seat)
            if not others:
                return
            strangers = {one.user for one in plan.seats} - {one.user for one in others}
            actions = tuple(
                action
                for action in plan.actions
                if action.args.get("who") != seat.host and action.args.get("to") not in strangers
            )
            self._fails(replace(plan, seats=others, actions=actions), self.best.tape)


def _sort_of(atom: Atom) -> str:
    """Return what sort of trouble an atom is: all losses are one, on whatever link."""
    return f"{atom[0]} {atom[1].rpartition(': ')[2]}"


def _label_of(atom: Atom) -> str:
    return f"{atom[0]} {atom[1]}"
