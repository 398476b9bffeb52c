"""A chat's history file: each message once, marks that move, and files that are something else."""

import sqlite3

import pytest

from udpim.cli import chat_history
from udpim.cli.chat_history import History, history_beside
from udpim.cli.chat_log import Line
from udpim.errors import StoreError, StoreFormat, StoreFull, StoreLocked
from udpim.model import MessageState, MsgId, StreamId

TOP = 2**64 - 1


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "alice.db-chat")


@pytest.fixture
def history(path):
    opened = History(path)
    yield opened
    opened.close()


def line(seq, *, user="alice", to="bob", incarnation=7, **more):
    values = {"mine": user == "alice", "at_ms": 1000 + seq, "payload": b"m%d" % seq} | more
    return Line(msgid=MsgId(StreamId(user, "cli", incarnation, to), seq), **values)


def test_a_line_comes_back_as_it_was(path):
    lines = [
        line(1, payload=b"\xff\x00", state=MessageState.STORED),
        line(TOP, incarnation=TOP, user="b'\"é\x1b", to="alice", at_ms=2**48),
        line(2, state=MessageState.REJECTED, words="unknown recipient"),
    ]
    history = History(path)
    assert [True] * 3 == list(map(history.add, lines))
    history.close()
    again = History(path)
    assert lines == again.last(10)
    again.close()


def test_only_its_owner_may_read_what_was_said(history, tmp_path):
    history.add(line(1))
    files = list(tmp_path.iterdir())
    assert len(files) == 3
    assert {0o600} == {file.stat().st_mode & 0o777 for file in files}


def test_a_long_payload_is_recorded_whole_and_read_short(history, path):
    long = line(1, payload=bytes(range(256)) * 200)
    history.add(long)
    with sqlite3.connect(path) as other:
        assert [(long.payload,)] == other.execute("SELECT payload FROM line").fetchall()
    other.close()
    long.shorten()
    assert [long] == history.last(1) == history.open_lines(1)
    assert 256 * 200 == len(long.payload) + long.cut_bytes


def test_the_last_lines_are_the_newest_in_their_order(history):
    for seq in range(1, 6):
        history.add(line(seq))
    assert [4, 5] == [each.msgid.seq for each in history.last(2)]
    assert [] == history.last(0)


def test_a_message_that_comes_again_is_recorded_once(history):
    first, other = line(1, user="bob", to="alice"), line(1, user="bob", to="alice", incarnation=8)
    assert not history.knows(first.msgid)
    assert history.add(first)
    assert history.knows(first.msgid)
    assert not history.add(first)
    assert history.add(other)
    assert [first, other] == history.last(10)


def test_a_message_to_oneself_is_two_lines(history):
    mine, theirs = line(1, to="alice"), line(1, to="alice", mine=False)
    assert history.add(mine)
    assert not history.knows(mine.msgid)
    assert history.add(theirs)
    assert [mine, theirs] == history.last(10)


def test_marks_move_and_settled_lines_are_not_open(history):
    lines = [line(seq) for seq in range(1, len(MessageState) + 1)]
    for each, state in zip(lines, MessageState, strict=True):
        history.add(each)
        each.state = state
    history.add(line(99, user="bob", to="alice"))
    history.move([(each.msgid, each) for each in lines])
    assert lines == history.last(99)[:-1]
    open_lines = [each for each in lines if each.open]
    assert open_lines == history.open_lines(99)
    assert open_lines[-1:] == history.open_lines(1)


def test_a_line_may_get_another_msgid_but_never_that_of_another_line(history):
    one, two = line(1), line(2)
    history.add(one)
    history.add(two)
    old = one.msgid
    one.msgid, one.state = line(1, incarnation=9).msgid, MessageState.DELIVERED
    history.move([(old, one)])
    assert [one, two] == history.last(9)
    clash = line(2, state=MessageState.VOID)
    history.move([(one.msgid, clash)])
    assert [one, two] == history.last(9)


def test_the_oldest_settled_lines_are_forgotten(path, monkeypatch):
    monkeypatch.setattr(chat_history, "LINES_MAX", 10)
    monkeypatch.setattr(chat_history, "PRUNE_LINES", 5)
    history = History(path)
    history.add(line(1))  # on its way: whoever waits for its mark keeps it
    for seq in range(2, 41):
        history.add(line(seq, state=MessageState.DELIVERED))
        assert len(history.last(99)) <= 10 + 5 + 1
    history.close()
    history = History(path)
    assert [1, *range(31, 41)] == [each.msgid.seq for each in history.last(99)]
    history.close()


def test_in_memory_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    history = History(None)
    history.add(line(1))
    assert 1 == len(history.last(9))
    history.close()
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["text", "another database", "a newer version"])
def test_a_file_that_is_something_else_is_left_alone(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "text":
        path.write_bytes(b"this is a letter to my aunt\n" * 100)
    else:
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE aunt (name TEXT)")
        if kind == "a newer version":
            other.execute(f"PRAGMA application_id = {chat_history.APPLICATION_ID}")
            other.execute("PRAGMA user_version = 2")
        other.commit()
        other.close()
    before = path.read_bytes()
    with pytest.raises(StoreFormat, match=r"not the history of a chat|version 2") as caught:
        History(str(path))
    assert str(path) == caught.value.path
    assert before == path.read_bytes()


def test_what_cannot_be_opened_is_a_store_error(tmp_path):
    with pytest.raises(StoreError, match="unable to open"):
        History(str(tmp_path / "nowhere" / "x"))


@pytest.mark.parametrize(
    ("code", "kind"),
    [(sqlite3.SQLITE_BUSY, StoreLocked), (sqlite3.SQLITE_FULL, StoreFull), (None, StoreError)],
)
def test_what_goes_wrong_on_disk_is_a_store_error(path, monkeypatch, code, kind):
    class Connection(sqlite3.Connection):
        broken = False

        def execute(self, *args):
            if self.broken:
                error = sqlite3.OperationalError("broken")
                if code is not None:
                    error.sqlite_errorcode = code
                raise error
            return super().execute(*args)

    connect = sqlite3.connect
    monkeypatch.setattr(
        chat_history.sqlite3, "connect", lambda *a, **k: connect(*a, factory=Connection, **k)
    )
    history = History(path)
    history.add(line(1))
    Connection.broken = True
    for work in (
        lambda: history.add(line(2)),
        lambda: history.move([(line(1).msgid, line(1))]),
        lambda: history.knows(line(1).msgid),
        lambda: history.last(1),
    ):
        with pytest.raises(kind) as caught:
            work()
        assert path == caught.value.path
    Connection.broken = False
    assert [line(1)] == history.last(9)
    history.close()


def test_the_history_of_a_store_lies_beside_it():
    assert "some/alice.db-chat" == history_beside("some/alice.db")
    assert history_beside(None) is None
