"""Receipts: who is told what, and when. The stream behind them is a stand-in."""

import asyncio

import pytest

import udpim
from tests.runtime.helpers import live
from udpim.im.changes import StreamChanged
from udpim.im.records import OutStreamRecord, Reroute
from udpim.im.refusals import Onward
from udpim.model import FINAL_STATES, MessageState, MsgId, RejectCode, StreamId
from udpim.receipt import Receipt, ReceiptBook


class Stream:
    """Shows the state that it was told."""

    id = StreamId("alice", "phone", 7, "bob")

    def __init__(self):
        self.states = {}
        self.onward = Onward(OutStreamRecord(1, 7, "bob", 1, 1, 0, 0, (), (), ()))
        self.decided = set()

    def state(self, seq):
        return self.states.get(seq, MessageState.PENDING)

    def final(self, seq):
        return self.state(seq) in FINAL_STATES or seq in self.decided

    def reject_code(self, seq):
        return RejectCode.FORBIDDEN


class Outbox:
    def __init__(self):
        self.calls = []
        self.streams = {}

    def stream(self, id_):
        return self.streams.get(id_)

    def cancel(self, stream, first, last):
        self.calls.append(("cancel", first, last))

    def resend(self, stream, seq):
        self.calls.append(("resend", seq))


class World:
    def __init__(self):
        self.stream, self.outbox, self.wakes = Stream(), Outbox(), 0
        self.book = ReceiptBook(self.outbox, self.wake)

    def wake(self):
        self.wakes += 1

    def receipt(self, seq=1):
        return Receipt(self.book, self.stream, seq)

    def show(self, first, last, state):
        self.stream.states.update(dict.fromkeys(range(first, last + 1), state))
        self.book.changed([StreamChanged(self.stream, first, last, state)])


async def started(coroutine):
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


async def wait_for(receipt):
    return await receipt


@live
async def test_each_wait_ends_at_its_state_or_a_higher_one():
    world = World()
    receipt = world.receipt()
    accepted, stored, delivered, settled = [
        await started(wait)
        for wait in (receipt.accepted(), receipt.stored(), wait_for(receipt), receipt.settled())
    ]
    assert 1 == world.book.waiting
    world.show(1, 1, MessageState.ACCEPTED)
    assert MessageState.ACCEPTED is await accepted
    world.show(1, 1, MessageState.STORED)
    assert MessageState.STORED is await stored
    world.show(1, 1, MessageState.PENDING)
    await asyncio.sleep(0)
    assert not delivered.done()
    assert not settled.done()
    world.show(1, 1, MessageState.DELIVERED)
    assert MessageState.DELIVERED is await delivered is await settled
    assert 0 == world.book.waiting


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        (MessageState.VOID, udpim.DeliveryVoid, "void"),
        (MessageState.REJECTED, udpim.DeliveryRejected, "rejected, forbidden"),
        (MessageState.UNKNOWN, udpim.DeliveryTimeout, "outcome unknown"),
        (MessageState.EXCUSED, udpim.DeliveryError, "excused"),
    ],
)
@live
async def test_every_other_end_raises_at_every_level(state, error, words):
    world = World()
    receipt = world.receipt()
    waits = [await started(w) for w in (receipt.accepted(), receipt.stored(), wait_for(receipt))]
    world.show(1, 1, state)
    for wait in (*waits, wait_for(receipt)):
        with pytest.raises(error, match=words) as caught:
            await wait
        assert receipt is caught.value.receipt


@live
async def test_unknown_settles_later():
    world = World()
    receipt = world.receipt()
    world.show(1, 1, MessageState.UNKNOWN)
    settled = await started(receipt.settled())
    world.show(1, 1, MessageState.VOID)
    assert MessageState.VOID is await settled


@live
async def test_unknown_is_the_end_where_nobody_is_asked_any_more():
    world = World()
    receipt = world.receipt()
    world.show(1, 1, MessageState.UNKNOWN)
    settled = await started(receipt.settled())
    world.stream.decided.add(1)
    world.show(1, 1, MessageState.UNKNOWN)
    assert MessageState.UNKNOWN is await settled
    assert 0 == world.book.waiting


@pytest.mark.parametrize("span", [(1, 1000), (5, 5), (5, 6), (4, 6)])
@live
async def test_a_range_reaches_who_waits_in_it_and_nobody_else(span):
    world = World()
    waits = {seq: await started(wait_for(world.receipt(seq))) for seq in (5, 2000)}
    world.show(*span, MessageState.DELIVERED)
    assert MessageState.DELIVERED is await waits[5]
    assert not waits[2000].done()
    assert 1 == world.book.waiting
    waits[2000].cancel()


@live
async def test_cancelling_one_wait_leaves_the_others_and_no_trace():
    world = World()
    receipt = world.receipt()
    first, second = await started(wait_for(receipt)), await started(receipt.settled())
    first.cancel()
    await asyncio.wait([first])
    assert 1 == world.book.waiting
    world.show(1, 1, MessageState.DELIVERED)
    assert MessageState.DELIVERED is await second
    third = await started(wait_for(world.receipt(2)))
    third.cancel()
    await asyncio.wait([third])
    assert 0 == world.book.waiting


@live
async def test_a_wait_that_is_cancelled_as_it_ends_leaves_no_trace():
    world = World()
    wait = await started(wait_for(world.receipt()))
    world.show(1, 1, MessageState.DELIVERED)
    wait.cancel()
    await asyncio.wait([wait])
    assert wait.cancelled()
    assert 0 == world.book.waiting


@live
async def test_commands_reach_the_outbox_until_the_end():
    world = World()
    receipt = world.receipt(9)
    receipt.cancel()
    receipt.resend()
    assert [("cancel", 9, 9), ("resend", 9)] == world.outbox.calls
    assert 2 == world.wakes
    waiting = await started(wait_for(receipt))
    cancelled = await started(receipt.stored())
    cancelled.cancel()
    error = udpim.ConnectionClosed(0, "closed")
    world.book.fail(error)
    with pytest.raises(udpim.ConnectionClosed):
        await waiting
    with pytest.raises(udpim.ConnectionClosed):
        receipt.cancel()
    with pytest.raises(udpim.ConnectionClosed):
        await receipt
    world.show(9, 9, MessageState.DELIVERED)
    assert MessageState.DELIVERED is await receipt


def test_a_receipt_shows_what_it_is_about():
    receipt = World().receipt(3)
    assert MsgId(Stream.id, 3) == receipt.msgid
    assert "bob" == receipt.recipient
    assert MessageState.PENDING is receipt.state
    assert "<Receipt alice/phone→bob#3 PENDING>" == repr(receipt)


@live
async def test_the_receipt_of_a_rerouted_message_is_about_the_one_that_goes_on():
    world, other = World(), Stream()
    other.id = StreamId("alice", "phone", 8, "carol")
    world.outbox.streams = {other.id: other}
    receipt = world.receipt(3)
    waits = [await started(w) for w in (receipt.accepted(), wait_for(receipt), receipt.settled())]
    world.stream.onward.rerouted.append(Reroute(2, 4, 8, "carol", 70))
    world.show(3, 3, MessageState.VOID)
    await asyncio.sleep(0)
    assert (71, "carol") == (receipt.rerouted.msgid.seq, receipt.rerouted.recipient)
    assert [world.receipt(seq).rerouted for seq in (1, 5)] == [None, None]
    receipt.cancel()
    receipt.resend()
    assert [("cancel", 71, 71), ("resend", 71)] == world.outbox.calls
    other.states[71] = MessageState.ACCEPTED
    world.book.changed([StreamChanged(other, 71, 71, MessageState.ACCEPTED)])
    assert MessageState.ACCEPTED is await waits[0]
    other.states[71] = MessageState.DELIVERED
    world.book.changed([StreamChanged(other, 71, 71, MessageState.DELIVERED)])
    assert MessageState.DELIVERED is await waits[1] is await waits[2]
    assert MessageState.VOID is receipt.state
