"""Sending: room, order of those who wait for it, and what a cancelled wait leaves behind."""

import asyncio
from types import SimpleNamespace

import pytest

import udpim
from tests.runtime.helpers import live, login, payloads, serve, take, turns
from udpim import MessageState
from udpim.outgoing import Outgoing

LIMIT = 3


def narrow(server):
    return login(server, "alice", limits=udpim.Limits(outbox_messages_max=LIMIT))


@live
async def test_at_the_limit_sending_waits_and_sending_at_once_raises():
    async with serve() as server, narrow(server) as alice, login(server, "bob") as bob:
        await alice.send_many("bob", payloads(LIMIT))
        with pytest.raises(udpim.OutboxFull, match="3 messages are unsettled"):
            alice.send_nowait("bob", b"no room")
        waiting = asyncio.create_task(alice.send("bob", b"later"))
        await turns(20)
        assert not waiting.done()
        assert [*payloads(LIMIT), b"later"] == [m.payload for m in await take(bob, LIMIT + 1)]
        assert MessageState.DELIVERED is await (await waiting)


@live
async def test_who_waited_first_sends_first():
    async with serve() as server, narrow(server) as alice, login(server, "bob") as bob:
        await alice.send_many("bob", payloads(LIMIT))
        large = asyncio.create_task(alice.send_many("bob", payloads(LIMIT, b"large")))
        await turns(1)
        small = asyncio.create_task(alice.send("bob", b"small"))
        got = [m.payload for m in await take(bob, 2 * LIMIT + 1)]
        assert [*payloads(LIMIT), *payloads(LIMIT, b"large"), b"small"] == got
        await asyncio.gather(large, small)


@live
async def test_cancelled_while_it_waits_for_room_nothing_was_queued_and_the_next_goes_on():
    async with serve() as server, narrow(server) as alice, login(server, "bob") as bob:
        await alice.send_many("bob", payloads(LIMIT - 1))
        first = asyncio.create_task(alice.send_many("bob", payloads(2, b"never")))
        await turns(1)
        second = asyncio.create_task(alice.send("bob", b"second"))
        await turns(1)
        assert not second.done()
        first.cancel()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first
        got = [m.payload for m in await take(bob, LIMIT)]
        assert [*payloads(LIMIT - 1), b"second"] == got


@live
async def test_cancelled_while_it_waits_for_the_commit_the_message_is_sent():
    async with serve() as server, narrow(server) as alice, login(server, "bob") as bob:
        sending = asyncio.create_task(alice.send("bob", b"already in"))
        await turns(1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert [b"already in"] == [m.payload for m in await take(bob, 1)]


@live
async def test_a_batch_that_can_never_fit_is_refused():
    async with serve() as server, narrow(server) as alice:
        with pytest.raises(udpim.OutboxFull):
            await alice.send_many("bob", payloads(LIMIT + 1))
        assert 0 == alice.stats()["outbox"]["open_messages"]


@live
async def test_closing_ends_the_wait_for_room():
    async with serve() as server, narrow(server) as alice, login(server, "bob") as bob:
        await alice.send_many("bob", payloads(LIMIT))
        waiting = asyncio.create_task(alice.send("bob", b"never"))
        await turns(1)
        closing = asyncio.create_task(alice.close())
        with pytest.raises(udpim.ConnectionClosed):
            await waiting
        assert payloads(LIMIT) == [m.payload for m in await take(bob, LIMIT)]
        await closing


@live
async def test_who_does_not_read_keeps_nobody_from_writing_to_others():
    async with (
        serve() as server,
        login(
            server,
            "alice",
            limits=udpim.Limits(outbox_messages_max=2 * LIMIT, conversation_messages_max=LIMIT),
        ) as alice,
        login(server, "bob") as bob,
        login(server, "carol") as carol,
    ):
        await alice.send_many("bob", payloads(LIMIT))
        waiting = [asyncio.create_task(alice.send("bob", b"%d" % n)) for n in range(2)]
        await turns(20)
        for payload in payloads(2 * LIMIT, b"carol"):
            receipt = await alice.send("carol", payload)
            await take(carol, 1)
            assert MessageState.DELIVERED is await receipt
        assert not any(task.done() for task in waiting)
        with pytest.raises(udpim.OutboxFull, match="3 messages are unsettled"):
            alice.send_nowait("bob", b"no room")
        assert [*payloads(LIMIT), b"0", b"1"] == [m.payload for m in await take(bob, LIMIT + 2)]
        await asyncio.gather(*waiting)


@live
async def test_bytes_fill_an_outbox_as_messages_do():
    async with (
        serve() as server,
        login(server, "alice", limits=udpim.Limits(outbox_bytes_max=100)) as alice,
        login(server, "bob") as bob,
    ):
        await alice.send("bob", bytes(150))
        waiting = asyncio.create_task(alice.send("bob", b"later"))
        await turns(20)
        assert not waiting.done()
        with pytest.raises(udpim.OutboxFull, match="100 bytes are unsettled"):
            alice.send_nowait("bob", b"no room")
        assert [bytes(150), b"later"] == [m.payload for m in await take(bob, 2)]
        await waiting


class Node:
    """An outbox that is full, and takes what it is given."""

    def __init__(self):
        self.config = udpim.ClientConfig(
            user="alice", device="main", limits=udpim.Limits(outbox_messages_max=LIMIT)
        )
        self.payload_bytes_max = 100
        self.outbox = SimpleNamespace(open_messages=LIMIT, open_bytes=0, open_to=lambda to: (0, 0))
        self.stream = object()
        self.sent = []

    def send_messages(self, to, payloads, *, now, wall_ms, ttl_s):
        self.outbox.open_messages += len(payloads)
        self.sent += payloads
        return self.stream, len(self.sent)


@live
async def test_a_large_batch_that_waits_for_the_outbox_is_not_starved_by_small_ones_to_others():
    node = Node()
    node.outbox.open_messages = 1
    outgoing = Outgoing(node, None, lambda: None)
    large = asyncio.create_task(outgoing.send_many("bob", payloads(LIMIT), None))
    await turns(2)
    small = asyncio.create_task(outgoing.send_many("carol", [b"small"], None))
    await turns(2)
    outgoing.committed([])
    await turns(2)
    assert [] == node.sent
    node.outbox.open_messages = 0
    outgoing.committed([])
    await turns(2)
    assert payloads(LIMIT) == node.sent
    for task in (large, small):
        task.cancel()


@live
async def test_nobody_waits_behind_somebody_who_was_cancelled():
    node = Node()
    outgoing = Outgoing(node, None, lambda: None)
    tasks = [
        asyncio.create_task(outgoing.send_many(name, [name.encode()], None))
        for name in ("bob", "carol", "dave")
    ]
    await turns(2)
    tasks[1].cancel()
    await turns(2)
    node.outbox.open_messages = 0
    with pytest.raises(udpim.OutboxFull):
        outgoing.send_nowait("bob", b"behind the first", None)
    outgoing.send_nowait("carol", b"at once", None)
    outgoing.committed([])
    await turns(2)
    assert [b"at once", b"bob", b"dave"] == node.sent
    for task in tasks:
        task.cancel()


@live
async def test_a_conversation_at_its_limit_waits_while_others_are_granted_room():
    node = Node()
    full_to = {"bob": (LIMIT, 0), "carol": (0, 0), "dave": (0, 16 * 1024 * 1024)}
    node.outbox.open_to = full_to.get
    outgoing = Outgoing(node, None, lambda: None)
    tasks = [
        asyncio.create_task(outgoing.send_many(name, [name.encode()], None)) for name in full_to
    ]
    await turns(2)
    assert [] == node.sent
    with pytest.raises(udpim.OutboxFull, match="3 messages"):
        outgoing.send_nowait("bob", b"", None)
    node.outbox.open_messages = 0
    outgoing.committed([])
    await turns(2)
    assert [b"carol"] == node.sent
    with pytest.raises(udpim.OutboxFull, match="16777216 bytes"):
        outgoing.send_nowait("dave", b"", None)
    full_to.update(bob=(0, 0), dave=(0, 0))
    outgoing.committed([])
    await turns(2)
    assert [b"carol", b"bob", b"dave"] == node.sent
    for task in tasks:
        task.cancel()


async def crowd(names):
    """Tasks that wait for room, in this order."""
    node = Node()
    outgoing = Outgoing(node, None, lambda: None)
    tasks = []
    for name in names:
        tasks.append(asyncio.create_task(outgoing.send_many("bob", [name], None)))
        await turns(2)
    return node, outgoing, tasks


@live
async def test_room_that_is_taken_meanwhile_is_waited_for_again_in_front():
    node, outgoing, tasks = await crowd([b"first", b"second"])
    node.outbox.open_messages = LIMIT - 1
    outgoing.committed([])
    node.outbox.open_messages = LIMIT
    await turns(20)
    assert [] == node.sent
    node.outbox.open_messages = LIMIT - 2
    outgoing.committed([])
    await turns(20)
    assert [b"first", b"second"] == node.sent
    outgoing.committed([(node.stream, 2)])
    assert [1, 1] == [len(await task) for task in tasks]


@pytest.mark.parametrize("granted_first", [True, False])
@live
async def test_a_cancelled_wait_passes_its_room_on(granted_first):
    node, outgoing, tasks = await crowd([b"first", b"second"])
    node.outbox.open_messages = LIMIT - 1
    steps = [lambda: outgoing.committed([]), tasks[0].cancel]
    for step in steps if granted_first else reversed(steps):
        step()
    await turns(20)
    assert tasks[0].cancelled()
    assert [b"second"] == node.sent
    outgoing.end(udpim.ConnectionClosed(0, "closed"))
    with pytest.raises(udpim.ConnectionClosed):
        await tasks[1]
