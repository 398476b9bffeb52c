"""Windows, floors and large numbers: exact for ever, and bounded all the same (PROTOCOL §5.4)."""

import pytest

from tests.semantics.situations import Carrying, finish, got, laptop_away, met, payloads
from udpim.config import WINDOW
from udpim.im.records import OutStreamRecord, PutMeta, PutOutStream
from udpim.store.state import StoreState
from udpim.testing import World
from udpim.testing.process import Backup
from udpim.wire.im_codec import encode_section
from udpim.wire.im_packets import AckR, MsgR

INCARNATION = 1 << 63 | 4711


# --- W ---


def test_oldest_that_never_arrives_stops_its_sender_and_a_void_lets_it_go_on(seed):
    world, alice, bob = met(seed)
    oldest = alice.send("bob", b"oldest")
    world.network.intercept("msg:N", copies=Carrying(world, oldest.first))
    world.run(0.01)
    later = alice.send("bob", payloads(2 * WINDOW))
    world.run(20)
    told = [f for f in world.history.frames if isinstance(f.packet, MsgR)]
    assert max(f.packet.section.last for f in told) == oldest.first + WINDOW - 1
    assert got(world, bob) == [b"hello"], "nothing passes the oldest"
    alice.cancel(oldest)
    world.settle()
    assert alice.states(oldest) == {"VOID": 1}
    assert alice.states(later) == {"DELIVERED": 2 * WINDOW}
    assert got(world, bob) == [b"hello", *payloads(2 * WINDOW)]
    finish(world)


def test_run_above_the_window_is_neither_acked_nor_answered(seed):
    """What a sender would do that ignores W, with the message that has its turn later."""
    world, alice, bob = met(seed)
    oldest = alice.send("bob", b"oldest")
    world.network.intercept("msg:N", copies=Carrying(world, oldest.first))
    world.run(0.01)
    later = alice.send("bob", payloads(2 * WINDOW))
    world.run(20)
    above = oldest.first + WINDOW
    row = alice.node.outbox.stream(later.stream).rows[above]
    name = later.stream._replace(user="", device="")
    section = encode_section(above, [row[0]], [row[1]])
    since = len(world.network.trace)
    alice.inject(MsgR(1, name, 1, alice.node.outbox.stream(later.stream).head_runs(), 0, section))
    world.run(7)
    carrying = Carrying(world, above)
    pushed = [c for c in world.network.trace if "msg:N" in c.content.labels]
    tries = sum(carrying.carried_by(crossing) for crossing in pushed)
    assert tries > 3, "the hop sends it again and again, for nobody acks it"
    packets = [packet for c in world.network.trace[since:] for _, packet in c.content.packets]
    answers = [packet for packet in packets if isinstance(packet, AckR)]
    assert [p for p in answers if p.delivered or p.void] == [], "it may ask, and answers nothing"
    alice.cancel(oldest)
    world.settle()
    assert got(world, bob) == [b"hello", *payloads(2 * WINDOW)]
    finish(world)


def test_backlog_of_ten_windows_drains_although_its_sender_is_away(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    count = 10 * WINDOW
    sent = alice.send("bob", payloads(count))
    world.settle(300, stored=True)
    alice.crash()
    bob.start()
    world.run_until(lambda: len(world.history.handovers) == 1 + count, within_s=300)
    assert got(world, bob) == [b"hello", *payloads(count)]
    bob.crash()
    alice.start()
    world.settle(60)
    assert alice.states(sent) == {"DELIVERED": count}, "from the receipt row"
    finish(world)


def test_lost_receipt_far_below_cum_is_answered_rightly(seed):
    """The window has moved on by three times its width when the oldest receipt is asked for."""
    world, alice, phone = met(seed)
    laptop_away(world, alice)
    lost = world.network.intercept("ack:N", destination=alice.host, copies=None)
    oldest = alice.send("bob", b"oldest")
    world.run(1)
    assert lost.dropped >= 1
    world.server().crash()
    world.network.heal()
    phone.crash()
    world.server().start()
    world.online()
    later = alice.send("bob", payloads(3 * WINDOW))
    world.settle(60, stored=True)
    cancelled = alice.send("bob", b"cancelled")
    world.run(1)
    alice.cancel(cancelled)
    phone.start()
    world.run(60)
    assert alice.states(oldest) == {"DELIVERED": 1}
    assert alice.states(later) == {"DELIVERED": 3 * WINDOW}
    assert got(world, phone) == [b"hello", b"both", b"oldest", *payloads(3 * WINDOW)]
    finish(world)
    assert alice.states(cancelled) == {"VOID": 1}
    assert all(len(orders) == 1 for orders in world.history.commits.values())


# --- Floor ---


def test_floor_that_an_old_copy_brings_does_not_fall(seed):
    world, alice, bob = met(seed)
    for turn in range(3):
        alice.send("bob", payloads(3, f"{turn}-"))
        world.settle()
    world.run(5)
    stream = next(iter(bob.node.inbox._streams.values()))
    assert stream.floor > 4
    old = [
        packet
        for crossing in world.network.trace
        for _, packet in crossing.content.packets
        if isinstance(packet, MsgR) and packet.runs[0].epoch
    ]
    before = stream.floor
    name = next(iter(world.history.sends)).stream._replace(user="", device="")
    for packet in reversed(old):
        alice.inject(packet._replace(handle=1, name=name))
        world.run(1)
        assert stream.floor >= before
    assert world.history.inboxes, "and the oracle has seen every floor that became durable"
    finish(world)
    assert len(got(world, bob)) == 10


# --- Large numbers ---


def begins_at(seed, first):
    """Alice's stream to bob is about to give out seq ``first``."""
    world = World(seed)
    world.server()
    alice, bob = world.client("alice", start=False), world.client("bob")
    state = StoreState()
    record = OutStreamRecord(1, INCARNATION, "bob", first, first, 0, 0, (), (), ())
    ops = [
        PutMeta("endpoint", b"alice\nphone"),
        PutMeta("incarnation", INCARNATION.to_bytes(8, "big")),
        PutOutStream(record),
    ]
    state.apply(ops)
    alice.restore(Backup(state, 0))
    world.history.on_durable(alice.host, ops)
    world.online()
    return world, alice, bob


@pytest.mark.parametrize("bits", [16, 32])
def test_seqs_cross_a_power_of_two_without_anybody_noticing(seed, bits):
    world, alice, bob = begins_at(seed, (1 << bits) - 20)
    sent = alice.send("bob", payloads(15, "pushed"))
    world.settle()
    bob.crash()
    world.run(40)
    queued = alice.send("bob", payloads(30, "queued"))
    world.settle(stored=True)
    alice.restart()
    bob.start()
    world.settle()
    assert alice.states(sent) == {"DELIVERED": 15}
    assert alice.states(queued) == {"DELIVERED": 30}
    void = alice.send("bob", payloads(3, "after"))
    finish(world)
    assert sent.first < 1 << bits < void.last
    assert got(world, bob) == [
        *payloads(15, "pushed"),
        *payloads(30, "queued"),
        *payloads(3, "after"),
    ]


# --- Many ---


def test_ten_thousand_stored_fall_to_pending_under_a_new_store_epoch(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    sent = alice.send("bob", payloads(10_000))
    world.settle(300, stored=True)
    assert alice.states(sent) == {"STORED": 10_000}
    ends = sent.msgids[0], sent.msgids[-1]
    world.server().lose_disk()
    world.run_until(lambda: {alice.state(msgid).name for msgid in ends} == {"PENDING"})
    assert alice.states(sent) == {"PENDING": 10_000}
    bob.start()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 10_000}
    assert got(world, bob) == [b"hello", *payloads(10_000)]
