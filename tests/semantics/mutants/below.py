"""Mutants below the messages: the hop, the store, and the executor between it and a node."""

from tests.semantics.mutants.mutant import mutant
from tests.semantics.mutants.places import EXCHANGE, RECIPIENTS, WINDOW
from udpim.crypto.key_schedule import KeySchedule
from udpim.crypto.secure_handshake import SecureClientHandshake, SecureServer
from udpim.hop.connection import Connection
from udpim.hop.finish import Finish
from udpim.hop.path import PathValidator
from udpim.hop.skips import Skips
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
    @planting.replace(sqlite_file, "connect")
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


HANDSHAKE = "tests/hop/test_encrypted_handshake.py::"


@mutant(
    "§2.8: a HELLO with a wrong mac meets silence",
    f"{HANDSHAKE}test_a_changed_hello_leads_to_nothing[XX]",
    "tests/crypto/test_secure_handshake.py::test_a_hello_for_another_server_has_a_wrong_mac",
)
def mac_is_not_looked_at(planting):
    @planting.replace(SecureServer, "refusal")
    def refusal(original, self, hello, datagram):
        words = original(self, hello, datagram)
        return None if words == "HELLO has a wrong mac" else words


@mutant(
    "§2.8: after RETRY everything is drawn anew",
    "tests/crypto/test_secure_handshake.py"
    "::test_after_a_retry_nothing_of_the_first_hello_is_used_again",
)
def ephemeral_outlives_its_prologue(planting):
    @planting.replace(SecureClientHandshake, "retried")
    def retried(original, self, packet):
        kept = self._state._before.ephemeral
        self._random_bytes = _drawing(kept, self._random_bytes)
        return original(self, packet)


def _drawing(pair, random_bytes):
    """A source that gives the private key of a pair again."""
    private = pair._private.private_bytes_raw()
    return lambda size: private if size == len(private) else random_bytes(size)


@mutant(
    "§2.8: FINISH goes again until it is answered",
    "tests/hop/test_finish.py::test_it_goes_again_but_once_per_probe_timeout",
)
def finish_is_said_once(planting):
    @planting.replace(Finish, "put_before")
    def put_before(original, self, *flight):
        original(self, *flight)
        self.answered()


@mutant(
    "§3.2: who acks a number that was skipped lies",
    "tests/hop/test_connection.py"
    "::test_an_ack_of_a_number_that_was_skipped_ends_the_connection[plain]",
)
def optimism_is_believed(planting):
    @planting.replace(Skips, "named")
    def named(original, self, largest, bitmap):
        return False


@mutant(
    "§2.9: the previous key is forgotten",
    "tests/hop/test_key_updates.py"
    "::test_the_previous_key_opens_what_was_overtaken_for_3_pto_and_nothing_later[chacha]",
)
def previous_key_is_kept(planting):
    @planting.replace(KeySchedule, "forget_previous")
    def forget_previous(original, self):
        return


@mutant(
    "§2.9: the next key is used only after its packet was authentic",
    "tests/crypto/test_key_schedule.py::test_a_forged_phase_bit_updates_nothing",
)
def phase_is_believed(planting):
    @planting.replace(KeySchedule, "open")
    def open_(original, self, header, packet_number, sealed):
        key, follows = self._key_of(header, packet_number)
        if follows:
            self._follow(key, packet_number)
        return original(self, header, packet_number, sealed)
