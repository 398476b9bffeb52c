"""Cuts the power of the real store again and again, and looks for what is not there any more.

Each run plays real transactions to the product's SQLite store, in groups, and cuts the power in the
course of one of them; or while the store is opened, also after an earlier cut. Then the store must
open, be whole, and hold just what a prefix of the transactions makes: all that were acknowledged,
and none in part. What a store has shown when it was opened counts as acknowledged too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic
from typing import NamedTuple

from udpim.errors import StoreError
from udpim.im.records import ClientSnapshot, Op, PutMeta, ServerSnapshot
from udpim.store.state import StoreState
from udpim.testing.choices import Choices
from udpim.testing.power.drive import Drive
from udpim.testing.power.recordings import Recording, recordings
from udpim.testing.power.store import SteppedStore

LIVES_MAX = 3
"""Losses of power in one run."""
TRANSACTIONS_MAX = 40
"""Between two losses."""
GROUP_MAX = 8
CHANGES_MAX = 400
"""In the course of how many writes and syncs, at most, the power fails."""
CHECKPOINTS = (1000, 1000, 4, 30)
"""Pages after which the log is brought into the file; SQLite's own number seldom comes."""
_MARK = "power"
"""Key of the row that says how many transactions a store holds."""

FAULTS = ("lost", "torn", "damaged", "unopened", "refused")
Snapshot = ClientSnapshot | ServerSnapshot


class Fault(NamedTuple):
    """What was wrong after a loss of power."""

    kind: str
    """One of `FAULTS`."""
    seed: str
    words: str


class Summary(NamedTuple):
    """What a campaign has seen."""

    runs: int
    losses: int
    """Of power."""
    while_opening: int
    """How many of them came while a store was opened."""
    acknowledged: int
    """Transactions, each of which was there after every later loss, but for the faults."""
    unacknowledged: int
    """Transactions that were there though nobody had been told so: cut off between."""
    faults: tuple[Fault, ...]
    seconds: float


class _Run:
    """One drive, one recording, some losses of power."""

    def __init__(self, seed: str, folder: Path, synchronous: str | None) -> None:
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self.faults: list[Fault] = []
        choices = Choices(seed)
        self._plan = choices.stream("plan")
        self._drive = Drive(choices.stream("drive"))
        self._folder = folder
        self._synchronous = synchronous
        which = self._upto(len(recordings())) - 1
        self._recording: Recording = recordings()[which]
        self._acknowledged = self._submitted = 0

    def run(self) -> None:
        for _ in range(self._upto(LIVES_MAX)):
            self._drive.cut_after(self._plan.decide(_cut))
            self._live()
            if self.faults:
                return
        store = self._open()
        if store is not None:
            self._look(store)
            store.close()

    def _upto(self, most: int) -> int:
        return self._plan.decide(lambda dice: dice.randint(1, most))

    def _open(self) -> SteppedStore | None:
        losses = self._drive.losses
        try:
            return SteppedStore(
                self._folder, self._drive, self._recording.kind, synchronous=self._synchronous
            )
        except StoreError as error:
            if self._drive.losses == losses:
                self._fault("unopened", str(error))
            self.counts["opening"] += 1
            return None

    def _live(self) -> None:
        """One process, until the power fails."""
        losses = self._drive.losses
        store = self._open()
        if store is not None:
            with suppress(StoreError):
                self._look(store)
                store.checkpoint_after(CHECKPOINTS[self._upto(len(CHECKPOINTS)) - 1])
                self._work(store, losses)
        if self._drive.losses == losses and not self.faults:
            self._drive.lose_power()
        if store is not None:
            store.close()
        self.counts["losses"] += 1

    def _work(self, store: SteppedStore, losses: int) -> None:
        transactions = self._recording.transactions
        end = min(len(transactions), self._acknowledged + self._upto(TRANSACTIONS_MAX))
        while self._submitted < end and self._drive.losses == losses:
            for _ in range(min(self._upto(GROUP_MAX), end - self._submitted)):
                self._submitted += 1
                store.submit(self._submitted, self._marked(self._submitted))
            store.step()
            for token, error, _ in store.completed():
                # What is reported by a machine without power, nobody hears.
                if error is None and self._drive.losses == losses:
                    self._acknowledged = token
                elif self._drive.losses == losses:
                    self._fault("refused", f"transaction {token}: {error}")

    def _marked(self, number: int) -> tuple[Op, ...]:
        ops = self._recording.transactions[number - 1]
        return (*ops, PutMeta(_MARK, number.to_bytes(4, "big")))

    def _look(self, store: SteppedStore) -> None:
        """Compare what a store holds with what it promised."""
        losses = self._drive.losses
        client = self._recording.kind == "client"
        try:
            damage = store.damage()
            found: Snapshot = store.load_client() if client else store.load_server()
        except Exception as error:  # of a damaged file, whatever it makes of its reader
            if self._drive.losses == losses:
                self._fault("damaged", repr(error))
            return
        if damage:
            self._fault("damaged", damage[0])
            return
        holds = int.from_bytes(found.meta.get(_MARK, b""), "big")
        if holds < self._acknowledged:
            words = f"{self._acknowledged - holds} of {self._acknowledged} transactions"
            self._fault("lost", words)
        elif found != self._expected(holds):
            self._fault("torn", f"not what {holds} transactions make")
        self.counts["unacknowledged"] += max(0, holds - self._acknowledged)
        self._acknowledged = self._submitted = holds

    def _expected(self, holds: int) -> Snapshot:
        state = StoreState()
        for number in range(1, holds + 1):
            state.apply(self._marked(number))
        if self._recording.kind == "client":
            return state.client_snapshot()
        return state.server_snapshot()

    def _fault(self, kind: str, words: str) -> None:
        self.faults.append(Fault(kind, self.seed, f"{self._recording.host}: {words}"))

    @property
    def acknowledged(self) -> int:
        return self._acknowledged


def _cut(dice: Random) -> int:
    # Often soon, that is in the midst of the opening or of the first transactions.
    return int(CHANGES_MAX ** max(dice.random(), dice.random()))


def run(
    runs: int,
    seed: object,
    *,
    synchronous: str | None = None,
    progress: Callable[[int, Sequence[Fault], float], None] = lambda done, faults, seconds: None,
    faults_max: int | None = None,
) -> Summary:
    """Cut the power in some runs, each of which its own seed repeats.

    Args:
        runs: How many.
        seed: Where the dice begin; that of a run has its number behind a colon.
        synchronous: What the store's connection uses in place of its own setting: with NORMAL or
            OFF the campaign must find faults.
        progress: Called after each run: how many are done, the faults, the seconds.
        faults_max: After how many runs with faults it is over; None for never.
    """
    began = monotonic()
    counts: Counter[str] = Counter()
    faults: list[Fault] = []
    done = faulty = 0
    with TemporaryDirectory() as folder:
        for done in range(1, runs + 1):
            one = _Run(f"{seed}:{done}", Path(folder), synchronous)
            one.run()
            counts += one.counts
            counts["acknowledged"] += one.acknowledged
            faults += one.faults
            faulty += bool(one.faults)
            progress(done, faults, monotonic() - began)
            if faulty == faults_max:
                break
    return Summary(
        runs=done,
        losses=counts["losses"],
        while_opening=counts["opening"],
        acknowledged=counts["acknowledged"],
        unacknowledged=counts["unacknowledged"],
        faults=tuple(faults),
        seconds=monotonic() - began,
    )
