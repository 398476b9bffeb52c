"""The SQLite store's writer: group commit, verdicts that are true, and what a bad disk does."""

import sqlite3
import threading

import pytest

from tests.store.samples import BOB, STREAM, Driver, SqlError, faulty, inbox, outbox, queued
from udpim.errors import LocalProtocolError, StoreError, StoreFormat, StoreFull
from udpim.im.records import PutMeta, PutOutbox, ReadQueue, TrimOutbox
from udpim.store.sqlite import GROUP_MAX, SQLiteStore, inbox_history


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "some.db")


class Script:
    """Statements counted by their first word; any of them can fail or be held."""

    def __init__(self):
        self.begun = []
        self.faults = {}
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()

    def __call__(self, sql):
        word = sql.partition(" ")[0]
        self.begun.append(word)
        fault = self.faults.get((word, self.begun.count(word)))
        if fault is not None:
            raise fault
        if sql == "BEGIN":
            self.waiting.set()
            assert self.gate.wait(30)

    def reset(self):
        """Forget what opening the file took."""
        self.begun.clear()


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def driver(path, script):
    store = SQLiteStore(path, kind="client", connection_factory=faulty(script))
    script.reset()
    driver = Driver(store)
    yield driver
    script.gate.set()
    store.close()


def held(driver, script, *transactions):
    """Submit one transaction, and while its commit is held, the others: they form one group."""
    script.gate.clear()
    driver.submit(PutMeta("first", b""))
    assert script.waiting.wait(30)
    for ops in transactions:
        driver.submit(*ops)
    script.gate.set()
    return driver.wait(1 + len(transactions))


def numbered(count):
    return [(PutMeta(f"{i}", b""), outbox(first_seq=3 * i)) for i in range(count)]


def stored(path):
    store = SQLiteStore(path, kind="client")
    loaded = store.load_client()
    store.close()
    return loaded


# --- Group commit ---


def test_transactions_that_wait_share_one_commit(driver, script):
    done = held(driver, script, *numbered(100))
    assert [None] * 101 == [completion.error for completion in done]
    assert 2 == script.begun.count("COMMIT")


def test_a_group_has_a_limit(driver, script):
    held(driver, script, *numbered(GROUP_MAX + 1))
    assert 3 == script.begun.count("COMMIT")


def test_a_group_needs_few_statements(driver, script):
    held(driver, script, *numbered(100), (TrimOutbox(1, 0, 50),), (TrimOutbox(1, 51, 70),))
    assert len(script.begun) < 20


def test_nothing_is_complete_before_its_commit(driver, script):
    script.gate.clear()
    driver.submit(outbox())
    assert script.waiting.wait(30)
    assert [] == driver.store.completed()
    script.gate.set()
    assert 1 == len(driver.wait(1))


def test_the_writer_ends_at_close(path):
    def writers():
        return [thread for thread in threading.enumerate() if thread.name.endswith(path)]

    store = SQLiteStore(path, kind="client")
    assert 1 == len(writers())
    store.close()
    assert [] == writers()


def test_a_wake_into_a_closed_event_loop_does_not_stop_the_writer(driver):
    def closed():
        raise RuntimeError("Event loop is closed")

    driver.store.set_wake(closed)
    driver.store.submit(1, (outbox(),))
    assert 3 == len(driver.store.load_client().outbox)
    assert [1] == [completion.token for completion in driver.store.completed()]


def test_loading_sees_everything_submitted_before(driver, script):
    for ops in numbered(50):
        driver.submit(*ops)
    assert 50 == len(driver.store.load_client().meta)


# --- A full disk ---

FULL = SqlError(sqlite3.SQLITE_FULL, "database or disk is full")


def test_a_group_that_fails_is_committed_one_by_one_with_true_verdicts(driver, script, path):
    # The first BEGIN is the held one; the second is the group; the fourth is its second member.
    script.faults = {("COMMIT", 2): FULL, ("COMMIT", 4): FULL}
    done = held(driver, script, *numbered(4))
    assert [None, None, StoreFull, None, None] == [c.error and type(c.error) for c in done]
    driver.store.close()
    assert {"first", "0", "2", "3"} == set(stored(path).meta)


def test_after_a_failure_nothing_else_of_a_client_is_written(driver, script, path):
    driver.store.load_client()
    script.faults = {("COMMIT", 2): FULL, ("COMMIT", 4): FULL}
    done = held(driver, script, *numbered(4))
    assert [None, None, StoreFull, StoreError, StoreError] == [
        c.error and type(c.error) for c in done
    ]
    assert type(driver.commit(PutMeta("later", b""))) is StoreError
    driver.store.close()
    assert {"first", "0"} == set(stored(path).meta)


@pytest.mark.parametrize("word", ["BEGIN", "INSERT", "COMMIT"])
@pytest.mark.parametrize("occurrence", [1, 2, 3, 4])
def test_a_full_disk_anywhere_leaves_exactly_what_was_confirmed(
    driver, script, path, word, occurrence
):
    script.faults = {(word, occurrence): FULL}
    confirmed = []
    for number, ops in enumerate(numbered(6)):
        error = driver.commit(*ops)
        assert error is None or type(error) is StoreFull
        confirmed += [f"{number}"] if error is None else []
    assert len(confirmed) == 5
    driver.store.close()
    loaded = stored(path)
    assert confirmed == sorted(loaded.meta)
    assert 15 == len(loaded.outbox)


def big(number):
    return PutOutbox(1, number, 1, 0, (0,), (b"x" * 1000,))


def test_a_file_at_its_limit_refuses_truly_and_goes_on_when_there_is_room(path):
    def limited(*args, **options):
        connection = sqlite3.connect(*args, **options)
        connection.execute("PRAGMA max_page_count = 30")
        return connection

    store = SQLiteStore(path, kind="client", connection_factory=limited)
    driver = Driver(store)
    verdicts = {number: driver.commit(big(number)) for number in range(150)}
    confirmed = [number for number, error in verdicts.items() if error is None]
    assert 50 < len(confirmed) < 150, "about seven rows of this size share a page"
    assert {StoreFull} == {type(error) for error in verdicts.values() if error is not None}
    assert confirmed == [row.seq for row in store.load_client().outbox]

    assert driver.commit(TrimOutbox(1, 0, 150)) is None
    for number in range(200, 250):
        driver.submit(big(number))
    assert [None] * 50 == [completion.error for completion in driver.wait(50)]
    store.close()
    assert list(range(200, 250)) == [row.seq for row in stored(path).outbox]


# --- A failing disk ---

SYNC_FAILED = SqlError(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")


def test_after_a_failed_sync_nothing_more_is_promised(driver, script, path):
    assert driver.commit(*numbered(1)[0]) is None
    script.faults = {("COMMIT", 2): SYNC_FAILED}
    error = driver.commit(PutMeta("unknown", b""))
    assert "the disk fails" in str(error)
    for later in (driver.commit(PutMeta("later", b"")), driver.commit()):
        assert type(later) is StoreError
        assert "an earlier write failed, open the store again" in str(later)
    with pytest.raises(StoreError, match="the disk fails"):
        driver.store.load_client()
    driver.store.close()
    assert "later" not in stored(path).meta
    assert 3 == len(stored(path).outbox)


def test_a_failed_sync_leaves_its_whole_group_open(driver, script):
    script.faults = {("COMMIT", 2): SYNC_FAILED}
    first, *others = held(driver, script, *numbered(3))
    assert first.error is None
    assert ["the disk fails" in str(completion.error) for completion in others] == [True] * 3
    assert 2 == script.begun.count("COMMIT")


def test_a_rollback_that_fails_is_a_failing_disk(driver, script):
    script.faults = {("COMMIT", 1): FULL, ("ROLLBACK", 1): SYNC_FAILED}
    assert "the disk fails" in str(driver.commit(PutMeta("a", b"")))
    assert "an earlier write failed" in str(driver.commit(PutMeta("b", b"")))


def test_an_error_without_a_code_counts_as_a_failing_disk(driver, script):
    script.faults = {("COMMIT", 1): sqlite3.OperationalError("who knows")}
    assert "who knows" in str(driver.commit(PutMeta("a", b"")))
    assert "an earlier write failed" in str(driver.commit(PutMeta("b", b"")))


def test_damage_that_shows_at_loading_is_told(driver, script):
    script.faults = {("SELECT", 1): SqlError(sqlite3.SQLITE_CORRUPT, "malformed")}
    with pytest.raises(StoreFormat, match="damaged; restore a copy"):
        driver.store.load_client()


def test_a_read_fails_like_a_transaction(path):
    script = Script()
    store = SQLiteStore(path, kind="server", connection_factory=faulty(script))
    driver = Driver(store)
    assert driver.commit(queued()) is None
    script.faults = {("SELECT", script.begun.count("SELECT") + 1): SYNC_FAILED}
    token = driver.read(ReadQueue(BOB, ((STREAM, ((0, 9),)),), 9))
    ((done, error, items),) = driver.wait(1)
    assert (token, ()) == (done, items)
    assert "the disk fails" in str(error)
    store.close()


# --- Our own mistakes ---


@pytest.mark.parametrize(
    "bad",
    [
        queued(),
        PutMeta("key", object()),
        PutMeta("key", None),
        TrimOutbox(1, 0, 2**64),
        PutOutbox(1, 9, 1, 0, (0,), ()),
    ],
)
def test_an_impossible_operation_fails_alone(driver, script, bad):
    done = held(driver, script, (PutMeta("a", b""), bad), (PutMeta("b", b""),))
    assert [False, True, False] == [completion.error is not None for completion in done]
    assert {"first", "b"} == set(driver.store.load_client().meta)


def test_each_kind_loads_and_reads_only_its_own(path):
    client = SQLiteStore(path, kind="client")
    server = SQLiteStore(path + "2", kind="server")
    for wrong in (client.load_server, server.load_client, server.inbox_history):
        with pytest.raises(LocalProtocolError):
            wrong()
    driver = Driver(client)
    driver.read(ReadQueue(BOB, (), 0))
    assert [StoreError] == [type(completion.error) for completion in driver.wait(1)]
    client.close()
    server.close()


def test_an_audit_reads_a_store_that_nobody_has_open(driver, path):
    assert driver.commit(inbox()) is None
    before = driver.store.inbox_history()
    driver.store.close()
    assert before == inbox_history(path)
    assert [1, 2, 3] == [row.seq for row in before]
