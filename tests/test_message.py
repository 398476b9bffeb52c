"""Messages and their iteration, without a network."""

import asyncio
from contextlib import suppress

import pytest

import udpim
from tests.runtime.helpers import live
from udpim.im.receiver import Released
from udpim.message import Incoming
from udpim.model import MsgId, StreamId

STREAM = StreamId("alice", "phone", 7, "bob")


class Inbox:
    def __init__(self):
        self.wakes = 0
        self.runs = []
        self.incoming = Incoming(self.wake)

    def wake(self):
        self.wakes += 1

    @property
    def handled(self):
        self.runs += self.incoming.take_handled()
        return [seq for run in self.runs for seq in range(run.first, run.first + run.count)]

    def add(self, first, last):
        rows = [(seq, seq << 16, b"%d" % seq) for seq in range(first, last + 1)]
        self.incoming.add([Released(STREAM, rows)])


@live
async def test_a_message_shows_where_it_comes_from():
    inbox = Inbox()
    inbox.add(5, 5)
    message = await anext(inbox.incoming.read())
    assert ("alice", "phone", "bob", b"5") == (
        message.sender,
        message.device,
        message.conversation,
        message.payload,
    )
    assert MsgId(STREAM, 5) == message.msgid
    assert "1970-01-01T00:00:00.005000+00:00" == message.sent_at.isoformat()
    assert 9999 == message._replace(stamp=2**64 - 1).sent_at.year, "whatever a peer claims"


@live
async def test_a_message_is_handled_at_the_next_step_only():
    inbox = Inbox()
    inbox.add(1, 2)
    inbox.add(3, 3)
    reader = inbox.incoming.read()
    for seq in (1, 2, 3):
        assert seq == (await anext(reader)).seq
        assert list(range(1, seq)) == inbox.handled
    inbox.incoming.end(None)
    with pytest.raises(StopAsyncIteration):
        await anext(reader)
    assert [1, 2, 3] == inbox.handled
    assert 3 == inbox.incoming.handled_count


@live
async def test_what_was_not_handled_comes_again_to_the_next_iteration():
    inbox = Inbox()
    inbox.add(1, 2)
    with suppress(ZeroDivisionError):
        async for message in inbox.incoming.read():
            if message.seq == 2:
                raise ZeroDivisionError
    assert [1] == inbox.handled
    assert 2 == (await anext(inbox.incoming.read())).seq


@live
async def test_a_message_may_be_handled_early_but_only_once():
    inbox = Inbox()
    inbox.add(1, 2)
    reader = inbox.incoming.read()
    message = await anext(reader)
    inbox.incoming.finish(message)
    assert [1] == inbox.handled
    with pytest.raises(udpim.LocalProtocolError, match="handed out last"):
        inbox.incoming.finish(message)
    assert 2 == (await anext(reader)).seq
    assert [1] == inbox.handled


@live
async def test_a_new_iteration_ends_the_one_before():
    inbox = Inbox()
    old = inbox.incoming.read()
    waiting = asyncio.create_task(anext(old))
    await asyncio.sleep(0)
    new = inbox.incoming.read()
    with pytest.raises(udpim.LocalProtocolError, match="another iteration"):
        await waiting
    inbox.add(1, 1)
    assert 1 == (await anext(new)).seq
    with pytest.raises(udpim.LocalProtocolError, match="another iteration"):
        await anext(old)
    assert [] == inbox.handled


@live
async def test_two_tasks_cannot_wait_in_one_iteration():
    inbox = Inbox()
    reader = inbox.incoming.read()
    waiting = asyncio.create_task(anext(reader))
    await asyncio.sleep(0)
    with pytest.raises(udpim.LocalProtocolError, match="another task waits"):
        await anext(reader)
    inbox.add(1, 1)
    assert 1 == (await waiting).seq


@live
async def test_a_wait_that_was_cancelled_loses_nothing():
    inbox = Inbox()
    reader = inbox.incoming.read()
    waiting = asyncio.create_task(anext(reader))
    await asyncio.sleep(0)
    inbox.add(1, 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert 1 == (await anext(reader)).seq
    assert [] == inbox.handled


@live
async def test_the_end_with_an_error_raises_it_and_the_first_end_counts():
    inbox = Inbox()
    inbox.add(1, 1)
    inbox.incoming.end(udpim.LoginError(3, "replaced"))
    inbox.incoming.end(None)
    reader = inbox.incoming.read()
    for _ in range(2):
        with pytest.raises(udpim.LoginError):
            await anext(reader)


@live
async def test_a_long_run_leaves_the_event_loop_its_turns():
    inbox = Inbox()
    inbox.add(1, 500)
    others = 0

    async def other():
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async for message in inbox.incoming.read():
        if message.seq == 500:
            break
    assert others >= 7
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@live
async def test_an_iteration_that_begins_while_another_leaves_a_turn_gets_everything():
    inbox = Inbox()
    inbox.add(1, 200)
    old = inbox.incoming.read()
    count = 0

    async def read():
        nonlocal count
        async for _ in old:
            count += 1

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    new = inbox.incoming.read()
    message = await anext(new)
    with pytest.raises(udpim.LocalProtocolError, match="another iteration"):
        await reading
    assert count == message.seq - 1
    assert message is inbox.incoming.current


OTHER = STREAM._replace(user="carol")


@live
async def test_a_parked_message_keeps_its_place_in_its_stream():
    inbox = Inbox()
    inbox.add(1, 3)
    inbox.incoming.add([Released(OTHER, [(1, 0, b"other")])])
    inbox.add(4, 4)
    reader = inbox.incoming.read()
    await anext(reader), await anext(reader)
    inbox.incoming.park()
    assert OTHER == (await anext(reader)).stream
    waiting = asyncio.create_task(anext(reader))
    await asyncio.sleep(0)
    inbox.add(5, 5)
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.incoming.unpark(STREAM)
    assert [2, 3, 4, 5] == [(await waiting).seq, *[(await anext(reader)).seq for _ in range(3)]]
    assert [1, 1, 2, 3, 4] == inbox.handled, "one of them the other stream's"


@live
async def test_what_is_parked_comes_again_to_the_next_iteration_before_the_rest():
    inbox = Inbox()
    inbox.add(1, 2)
    inbox.incoming.add([Released(OTHER, [(1, 0, b""), (2, 0, b"")])])
    reader = inbox.incoming.read()
    await anext(reader)
    inbox.incoming.park()
    await anext(reader)
    reader = inbox.incoming.read()
    inbox.incoming.unpark(STREAM)
    found = [await anext(reader) for _ in range(4)]
    assert [(STREAM, 1), (STREAM, 2), (OTHER, 1), (OTHER, 2)] == [(m.stream, m.seq) for m in found]


@live
async def test_a_message_can_leave_unhandled():
    inbox = Inbox()
    inbox.add(1, 2)
    reader = inbox.incoming.read()
    inbox.incoming.leave(await anext(reader))
    assert inbox.incoming.current is None
    await anext(reader), inbox.incoming.finish(inbox.incoming.current)
    assert [2] == inbox.handled
