"""Planted bugs: each breaks one rule in the classic way, and the oracle must notice (PROTOCOL §5).

The bugs are planted from here by monkeypatching; udpim has no switch for any of them. Every
scenario passes without its bug, so what is noticed is the bug.
"""

from dataclasses import replace

import pytest

from tests.semantics.situations import bad, finish, got, met, payloads
from udpim.im.in_stream import InStream
from udpim.im.out_stream import OutStream
from udpim.im.queue_writer import QueueWriter
from udpim.im.receipt_rows import ReceiptRows
from udpim.im.receiver import Inbox
from udpim.im.router import Router
from udpim.im.sender import Outbox
from udpim.im.session import Relay
from udpim.model import Endpoint
from udpim.node import server
from udpim.testing import Violated, World
from udpim.wire.im_packets import CancelR

# --- Scenarios ---


def server_dies_after_msg_a(seed):
    world, alice, bob = met(seed)
    world.network.intercept("msg:N", copies=None)
    alice.send("bob", payloads(5))
    world.run(2)
    world.server().crash()
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(5)]


def recipient_dies_around_its_commit(seed):
    world, alice, bob = met(seed)
    bob.store.sync_s = 0.2
    alice.send("bob", payloads(5))
    world.run(0.15)
    bob.crash()
    world.run(1)
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(5)]


def recipient_dies_after_the_hand_over(seed):
    world, alice, bob = met(seed)
    bob.handle_after_s = None
    alice.send("bob", payloads(5))
    world.run(0.5)
    bob.handle_after_s = 0.0
    bob.restart()
    finish(world)


def copy_comes_a_year_late(seed):
    world, alice, bob = met(seed)
    alice.send("bob", payloads(5))
    world.settle()
    world.run(1)
    pushes = [c for c in world.network.trace if "msg:R" in c.content.labels]
    alice.crash()
    bob.crash()
    world.run(365 * 86400)
    backup = alice.store.backup()
    assert backup
    alice.start()
    bob.start()
    world.online()
    copy_again(world, alice, pushes)
    finish(world)


def copy_again(world, sender, pushes):
    """Let an old msg:R arrive in a new session: as the sender's own end-to-end retransmission."""
    for crossing in pushes:
        for _, packet in crossing.content.packets:
            if hasattr(packet, "runs") and hasattr(packet, "section") and packet.runs[0].epoch:
                name = next(iter(world.history.sends)).stream._replace(user="", device="")
                copy = packet._replace(handle=1, name=name)
                sender.inject(copy)
    world.run(5)


def recipient_is_away(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    world.server().store.sync_s = 0.3
    alice.send("bob", payloads(5))
    world.run(0.1)
    world.server().crash()
    world.run(2)
    world.server().start()
    world.settle(stored=True)
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(5)]


def one_of_two_devices_is_away(seed):
    world, alice, _ = met(seed)
    laptop = world.client("bob", "laptop")
    world.online()
    alice.send("bob", b"both")
    world.settle()
    laptop.crash()
    world.run(40)
    alice.send("bob", payloads(5))
    world.settle()
    world.run(5)
    world.server().lose_disk()
    laptop.start()
    world.run(60)
    finish(world)
    assert got(world, laptop)[-5:] == payloads(5)


def device_joins_between(seed):
    world, alice, phone = met(seed)
    phone.crash()
    world.run(40)
    alice.send("bob", payloads(5))
    world.settle(stored=True)
    laptop = world.client("bob", "laptop")
    world.online()
    alice.send("bob", b"alice learns of the laptop")
    world.run(5)
    alice.send("bob", b"after")
    world.run(5)
    laptop.restart()
    finish(world)


def messages_overtake_each_other(seed):
    world = World(seed, faults=bad(0.3))
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online(300)
    for turn in range(20):
        alice.send("bob", payloads(5, f"{turn}-"))
        world.run(0.05)
    finish(world)
    assert got(world, bob) == [p for turn in range(20) for p in payloads(5, f"{turn}-")]


def sender_gives_up_while_copies_are_queued(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    sent = alice.send("bob", payloads(5))
    world.settle(stored=True)
    alice.cancel(sent)
    world.run(5)
    bob.start()
    finish(world)


def sender_is_away_for_the_receipt(seed):
    world, alice, bob = met(seed)
    world.network.intercept("ack:N", copies=None, then=lambda: alice.up and alice.crash())
    sent = alice.send("bob", payloads(5))
    world.run(40)
    bob.crash()
    world.run(40)
    world.network.heal()
    alice.start()
    world.settle(20)
    assert alice.states(sent) == {"DELIVERED": 5}
    finish(world)


# --- Bugs: (what it breaks, plant) ---


def accepted_clears_the_outbox(patch):
    original = Outbox.receive_msg_a

    def receive_msg_a(self, packet):
        original(self, packet)
        stream = self.by_handle(packet.handle)
        for first, last in packet.ranges:
            stream.settled.add(first, last)
            stream.covered.add(first, last)
        stream._advance()
        self._dirty[stream] = None

    patch.setattr(Outbox, "receive_msg_a", receive_msg_a)


def receipt_before_commit(patch):
    original = Inbox._settled

    def settled(self, stream, ranges):
        original(self, stream, ranges)
        stream.busy.clear()
        stream.report.update(ranges)
        self._reports[stream] = None

    patch.setattr(Inbox, "_settled", settled)


def mark_before_persist(patch):
    """The inbox forgets to write the rows, and remembers that it has them."""
    original = Inbox.take_ops

    def take_ops(self):
        ops = original(self)
        return [op for op in ops if type(op).__name__ != "PutInbox"]

    patch.setattr(Inbox, "take_ops", take_ops)


def dedup_by_time_window(patch):
    """After a restart nothing is known any more of what was delivered."""
    original = Inbox.__init__

    def init(self, snapshot, **settings):
        forgotten = [
            record._replace(cum=0, delivered=0, void=0, floor=1, void_runs=())
            for record in snapshot.in_streams
        ]
        original(self, replace(snapshot, in_streams=tuple(forgotten)), **settings)

    patch.setattr(Inbox, "__init__", init)


def stored_before_fsync(patch):
    original = QueueWriter._put

    def put(self, endpoint, stream, rows, ranges, *, void):
        original(self, endpoint, stream, rows, ranges, void=void)
        if not void:
            self._stored(endpoint, stream, list(ranges))

    patch.setattr(QueueWriter, "_put", put)


def floor_when_any_endpoint_settled(patch):
    original = OutStream.refresh

    def refresh(self, first, last):
        everybody = self.members
        for view in everybody:
            if view.delivered.within(first, last):
                self.members = [view]
        try:
            return original(self, first, last)
        finally:
            self.members = everybody

    patch.setattr(OutStream, "refresh", refresh)


def base_counts_as_delivered(patch):
    original = InStream.__init__

    def init(self, record):
        original(self, record._replace(void_runs=()))

    patch.setattr(InStream, "__init__", init)


def release_on_arrival(patch):
    def release(self):
        released = [(seq, *row) for seq, row in self.ready.items()]
        self.ready.clear()
        return released

    patch.setattr(InStream, "release", release)


def server_says_void(patch):
    """S answers a cancel in B's name."""
    original = Router.receive_cancel_r

    def receive_cancel_r(self, session, stream, packet):
        original(self, session, stream, packet)
        for record in self.registry.devices(stream.conversation).values():
            endpoint = Endpoint(stream.conversation, record.device)
            relay = Relay(stream, endpoint, record.incarnation, (), packet.ranges)
            self._answers.verdicts(session, relay, kept=True)

    patch.setitem(server._ROUTER_METHODS, CancelR, receive_cancel_r)


def receipt_row_is_not_kept(patch):
    def keep(self, *verdicts, after):
        after(True)

    patch.setattr(ReceiptRows, "keep", keep)


MUTANTS = [
    (accepted_clears_the_outbox, server_dies_after_msg_a),
    (receipt_before_commit, recipient_dies_around_its_commit),
    (mark_before_persist, recipient_dies_after_the_hand_over),
    (dedup_by_time_window, copy_comes_a_year_late),
    (stored_before_fsync, recipient_is_away),
    (floor_when_any_endpoint_settled, one_of_two_devices_is_away),
    (base_counts_as_delivered, device_joins_between),
    (release_on_arrival, messages_overtake_each_other),
    (server_says_void, sender_gives_up_while_copies_are_queued),
    (receipt_row_is_not_kept, sender_is_away_for_the_receipt),
]


@pytest.mark.parametrize(("plant", "scenario"), MUTANTS, ids=lambda f: f.__name__)
def test_planted_bug_is_noticed(seed, monkeypatch, plant, scenario):
    scenario(seed)
    plant(monkeypatch)
    with pytest.raises((Violated, AssertionError)) as caught:
        scenario(seed)
    print(f"{type(caught.value).__name__}: {str(caught.value)[:300]}")
