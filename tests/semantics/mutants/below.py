"""Mutants below the messages: the hop, the store, and the executor between it and a node."""

from tests.semantics.mutants.mutant import mutant
from tests.semantics.mutants.places import EXCHANGE, RECIPIENTS, WINDOW
from udpim.hop.connection import Connection
from udpim.hop.path import PathValidator
from udpim.store import sqlite_file
from udpim.store.executor import EffectExecutor
from udpim.store.sqlite import SQLiteStore


@mutant(
    "R10: a packet is acked only if it was taken",
    f"{WINDOW}test_run_above_the_window_is_neither_acked_nor_answered",
    "tests/hop/test_connection.py::test_a_frame_that_is_refused_for_ever_is_never_acked",
)
def acked_although_refused(planting):
    latest = {}

    @planting.replace(Connection, "receive_packet")
    def receive_packet(original, self, datagram, path, now):
        incoming = original(self, datagram, path, now)
        if incoming is not None:
            latest[self] = (incoming, now)
        return incoming

    @planting.replace(Connection, "refuse")
    def refuse(original, self, reason):
        original(self, reason)
        self.take(*latest[self])


@mutant(
    "§3.5: a new address proves itself before anything goes there",
    f"{RECIPIENTS}test_replay_from_elsewhere_of_a_packet_that_was_lost_moves_no_path[msg:R]",
    item=19,
)
def path_moves_unproven(planting):
    @planting.replace(PathValidator, "on_newest_packet")
    def on_newest_packet(original, self, path, size):
        original(self, path, size)
        self.current = path


@mutant(
    "§5.2: when a commit fails, its promises are not made",
    f"{EXCHANGE}test_full_disk_at_the_server_says_nothing_of_stored",
    f"{EXCHANGE}test_full_disk_at_the_recipient_promises_nothing",
    item=3,
)
def failed_commit_counts(planting):
    @planting.replace(EffectExecutor, "complete")
    def complete(original, self, now):
        completions = self._store.completed()
        for token, _, items in completions:
            if token in self._reads:
                self._reads.remove(token)
                self._node.on_queue_read(token, items, now)
            else:
                self._node.on_commit_done(token, None, now)
        return bool(completions)


@mutant(
    "§5.2: durable means that a crash of the machine cannot take it back",
    "tests/store/test_sqlite_file.py::test_a_commit_is_synced",
)
def commit_is_not_synced(planting):
    @planting.replace(sqlite_file, "_connect")
    def connect(original, *where, **how):
        connection = original(*where, **how)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection


@mutant(
    "§5.2: each promise waits for the verdict on its own transaction",
    "tests/store/test_sqlite.py"
    "::test_a_group_that_fails_is_committed_one_by_one_with_true_verdicts",
)
def whole_group_gets_one_verdict(planting):
    @planting.replace(SQLiteStore, "_verdicts")
    def verdicts(original, self, works):
        done = original(self, works)
        return [completion._replace(error=done[0].error) for completion in done]


@mutant(
    "§5.2: when a sync fails, the outcome is unknown, and nothing is promised any more",
    "tests/store/test_sqlite.py::test_after_a_failed_sync_nothing_more_is_promised",
)
def failed_sync_is_forgotten(planting):
    @planting.replace(SQLiteStore, "_verdicts")
    def verdicts(original, self, works):
        done = original(self, works)
        self._broken = None
        return done
