"""From a run that fails to the decisions that matter: delta debugging over faults and actions.

An *atom* is one recorded decision or one action of the plan. A candidate leaves atoms out and is
played; it counts if the same invariant is violated. The boldest cuts come first, for each that
succeeds makes all further candidates quicker to play: everything, whole kinds (all losses, all
crashes) or all but one kind, everybody who is not needed, the end of the run. Then halves,
quarters, … of what is left (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing
input", IEEE TSE 2002), one cut in the place of losses in a row, and two atoms at once. What went
makes room for bolder cuts, so all of it is done again until nothing goes; no candidate is played
twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from udpim.testing.choices import Tape
from udpim.testing.facts import SERVER
from udpim.testing.sim.plan import Action, Plan, Value
from udpim.testing.sim.run import Lost, Result, run

RUNS_MAX = 2000
"""Candidates that are played for one failure."""

END_STEPS = 5
"""How often the time in which a run must end is halved."""

PAIRS_OF_MAX = 20
"""Of how many atoms every two are tried together, which makes 190 candidates."""

CUT_MARGIN_S = 0.0005
"""How much sooner a cut begins than the first datagram that it stops, and ends later."""

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
    weight = None
    while weight != (weight := search.weight()):
        search.boldly()
        search.halves("decision")
        search.halves("action")
        search.halves("decision", "action")
        search.losses()
        search.pairs()
        search.values()
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
        self._tried: set[bytes] = set()

    def weight(self) -> tuple[int, ...]:
        """Return how much is left; what is done again stops when this does not fall any more."""
        plan, tape = self.best.plan, self.best.tape
        messages = sum(int(one.args.get("count", 0)) for one in plan.actions)
        values = sum(sum(made.values()) for made in tape.values())
        return len(self.atoms()), len(plan.seats), messages, values

    # --- Candidates ---

    def _over(self) -> bool:
        return self.runs >= self._runs_max or self._enough()

    def _fails(self, plan: Plan, tape: Tape) -> bool:
        """Play a candidate; keep it if it fails in the same way."""
        key = hashlib.blake2b(repr((plan, sorted(tape.items()))).encode()).digest()
        if self._over() or key in self._tried:
            return False
        self._tried.add(key)
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

    def boldly(self) -> None:
        """Try the cuts that take much away."""
        self.everything()
        self.only()
        self.kinds()
        self.seats()
        self.end()
        self.settings()

    def everything(self) -> None:
        """Try without any trouble, without all decisions, and without all actions but sends."""
        decisions = set(self.atoms("decision"))
        actions = {atom for atom in self.atoms("action") if atom[1] not in ORDINARY}
        if not self._without(decisions | actions) and not self._without(decisions):
            self._without(actions)

    def only(self) -> None:
        """Try with one kind of trouble alone."""
        trouble = self._trouble()
        for name in sorted({_sort_of(atom) for atom in trouble}):
            if self._without({atom for atom in trouble if _sort_of(atom) != name}):
                return

    def _trouble(self) -> list[Atom]:
        return [atom for atom in self.atoms() if atom[0] == "decision" or atom[1] not in ORDINARY]

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

    def losses(self) -> None:
        """Try one cut in the place of many losses, of all of a client's or of those in a row."""
        clients = sorted({_client_of(lost) for lost in self.best.lost})
        for client in clients:
            for way in ("both", "up", "down"):
                self._cut_instead(client, way, self._lost(client, way))

    def _lost(self, client: str, way: str) -> list[Lost]:
        ways = {"up": [(client, SERVER)], "down": [(SERVER, client)]}
        pairs = ways.get(way) or [*ways["up"], *ways["down"]]
        return [one for one in self.best.lost if (one.source, one.destination) in pairs]

    def _cut_instead(self, client: str, way: str, lost: list[Lost]) -> None:
        """Try a cut for all of these; else for each half of them."""
        if len(lost) < 2 or self._over():
            return
        plan, tape = self.best.plan, self.best.tape
        gone = {(f"{one.source} > {one.destination}", one.number) for one in lost}
        left = {
            label: {n: v for n, v in made.items() if (label.rpartition(":")[0], n) not in gone}
            if label.endswith((": loss", ": outage"))
            else made
            for label, made in tape.items()
        }
        at_s = round(max(0.0, lost[0].at_s - CUT_MARGIN_S), 6)
        args: dict[str, Value] = {
            "who": client,
            "way": way,
            "for_s": lost[-1].at_s + CUT_MARGIN_S - at_s,
        }
        actions = (*plan.actions, Action(at_s=at_s, kind="cut", args=args))
        ordered = tuple(sorted(actions, key=lambda action: action.at_s))
        if not self._fails(replace(plan, actions=ordered), left):
            self._cut_instead(client, way, lost[: len(lost) // 2])
            # The first half may have become a cut, which stops more than it has to.
            still = set(self.best.lost)
            self._cut_instead(client, way, [one for one in lost[len(lost) // 2 :] if one in still])

    def pairs(self) -> None:
        """Try without any two atoms, where none can go alone."""
        atoms = self.atoms()
        if len(atoms) > PAIRS_OF_MAX:
            atoms = self._trouble()
        if len(atoms) <= PAIRS_OF_MAX and any(
            self._without(set(two)) for two in combinations(atoms, 2)
        ):
            self.pairs()

    def values(self) -> None:
        """Try with the smallest numbers: one message, of no size; a delay of a microsecond."""
        for _, label, number in self.atoms("decision"):
            made = self.best.tape.get(label, {})
            if made.get(number, 1) > 1:
                self._fails(self.best.plan, {**self.best.tape, label: {**made, number: 1}})
        for place in range(len(self.best.plan.actions)):
            for plain in ({"count": 1}, {"size": 0}, {"landing": 0}):
                actions = list(self.best.plan.actions)
                action = actions[place]
                if any(float(action.args.get(name, 0)) > value for name, value in plain.items()):
                    actions[place] = replace(action, args={**action.args, **plain})
                    self._fails(replace(self.best.plan, actions=tuple(actions)), self.best.tape)


def _client_of(lost: Lost) -> str:
    return lost.source if lost.destination == SERVER else lost.destination


def _sort_of(atom: Atom) -> str:
    """Return what sort of trouble an atom is: all losses are one, on whatever link."""
    return f"{atom[0]} {atom[1].rpartition(': ')[2]}"


def _label_of(atom: Atom) -> str:
    return f"{atom[0]} {atom[1]}"
