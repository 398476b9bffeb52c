"""The chat's line mode: what is printed, for people and as JSON."""

import asyncio
import json

import pytest

from tests.runtime.helpers import live
from udpim.cli.chat_lines import LineView
from udpim.cli.chat_log import Line
from udpim.errors import PayloadTooLarge
from udpim.model import MessageState, MsgId, StreamId


def line(seq=1, *, user="alice", to="bob", **more):
    values = {"mine": user == "alice", "at_ms": 0, "payload": b"hi"} | more
    return Line(msgid=MsgId(StreamId(user, "cli", 7, to), seq), **values)


class FakeTalk:
    """Takes what is sent, until it is too large."""

    def __init__(self):
        self.log = []

    async def send(self, to, payload):
        if len(payload) > 9:
            raise PayloadTooLarge(len(payload), 9)
        self.log.append((to, payload))

    async def settle(self, timeout_s):
        self.log.append(timeout_s)


async def given(*payloads):
    for payload in payloads:
        await asyncio.sleep(0)
        yield payload


@pytest.fixture
def shown(capsys):
    def read():
        out, err = capsys.readouterr()
        assert "" == err
        return out.splitlines()

    return read


def events(shown):
    return [json.loads(each) for each in shown()]


@live
async def test_each_line_is_sent_and_then_settled():
    talk = FakeTalk()
    await LineView(as_json=False).run(talk, "bob", given(b"one", b"", b"/two\xff"), 7.0)
    assert [("bob", b"one"), ("bob", b""), ("bob", b"/two\xff"), 7.0] == talk.log


@live
async def test_a_line_too_long_ends_it_after_what_came_before_is_settled():
    talk = FakeTalk()
    with pytest.raises(PayloadTooLarge):
        await LineView(as_json=False).run(talk, "bob", given(b"one", b"x" * 10, b"two"), 7.0)
    assert [("bob", b"one"), 7.0] == talk.log


def test_people_read_who_wrote_and_how_it_ended(shown):
    view = LineView(as_json=False)
    view.linked(online=True)
    sent = [line(seq) for seq in (1, 2, 3)]
    for each in sent:
        view.sent(each)
    view.received(line(user="bob", to="alice", payload=b"h\x1b[2Jo\n\xff"))
    ends = (MessageState.STORED, MessageState.DELIVERED, MessageState.REJECTED)
    for each, state in zip(sent, ends, strict=True):
        each.state = state
        each.words = "un\x1bknown" if state is MessageState.REJECTED else ""
        view.moved(each)
    assert [
        "bob: h\\x1b[2Jo\\n\\xff",
        "delivered alice/cli→bob#2",
        "rejected  alice/cli→bob#3  (un\\x1bknown)",
    ] == shown()
    view.finish()
    assert ["stored    alice/cli→bob#1"] == shown()


def test_a_line_of_an_earlier_run_is_told_of_only_when_it_ends(shown):
    view = LineView(as_json=False)
    old = line(state=MessageState.STORED)
    view.moved(old)
    view.finish()
    assert [] == shown()
    old.state = MessageState.DELIVERED
    view.moved(old)
    assert ["delivered alice/cli→bob#1"] == shown()


def test_a_machine_reads_one_object_for_each_event(shown):
    view = LineView(as_json=True)
    view.linked(online=True)
    mine = line()
    view.sent(mine)
    mine.state = MessageState.ACCEPTED
    view.moved(mine)
    mine.state, mine.words = MessageState.REJECTED, "unknown recipient"
    view.moved(mine)
    view.received(line(user="bob", to="alice", payload=b"\xff", at_ms=1_700_000_000_000))
    view.linked(online=False)
    view.finish()
    named = {"msgid": "alice/cli→bob#1", "to": "bob"}
    assert [
        {"event": "online"},
        {"event": "sent", **named, "text": "hi"},
        {"event": "state", **named, "state": "accepted"},
        {"event": "state", **named, "state": "rejected", "words": "unknown recipient"},
        {
            "event": "message",
            "from": "bob",
            "device": "cli",
            "msgid": "bob/cli→alice#1",
            "sent_at": "2023-11-14T22:13:20+00:00",
            "hex": "ff",
        },
        {"event": "offline"},
    ] == events(shown)


def test_a_time_that_no_clock_shows_is_null(shown):
    LineView(as_json=True).received(line(user="bob", at_ms=2**48))
    (event,) = events(shown)
    assert event["sent_at"] is None
