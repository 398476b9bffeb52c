"""Rules of the sender in which a mistake shows only in trouble (PROTOCOL §5.3, §5.6)."""

import pytest

from tests.semantics.situations import finish, got, laptop_away, met, payloads
from tests.settings import settings
from udpim.config import ServerConfig
from udpim.im.records import PutMeta
from udpim.testing import World
from udpim.wire.im_packets import MsgN, MsgR

HOUR_S = 3600.0
YEAR_S = 365 * 86400.0


# --- What leaves, and when ---


def test_nothing_leaves_a_sender_with_a_slow_disk_before_its_row(seed):
    world, alice, bob = met(seed)
    alice.store.sync_s = 0.5
    left = world.network.intercept("msg:R", copies=None, drop=False)
    alice.send("bob", payloads(3))
    world.run(0.45)
    assert left.seen == 0
    world.settle()
    assert left.seen >= 1
    assert got(world, bob) == [b"hello", *payloads(3)]
    finish(world)


def test_a_floor_is_not_told_before_it_is_durable(seed):
    world, alice, bob = met(seed)
    alice.send("bob", payloads(5, "a"))
    alice.store.sync_s = 0.5
    later = world.clock.call_later
    for turn in range(12):
        later(0.1 * turn, lambda turn=turn: alice.send("bob", payloads(1, f"{turn}-")))
    world.run(3)
    finish(world)
    floors = [f.packet.floor for f in world.history.frames if isinstance(f.packet, MsgR)]
    assert floors == sorted(floors)
    assert floors[-1] > 2
    assert len(got(world, bob)) == 18


def test_a_login_waits_for_its_count(seed):
    world, alice, _ = met(seed)
    alice.store.sync_s = 0.5
    alice.crash()
    logins = world.network.intercept("login", source=alice.host, copies=None, drop=False)
    durable = []
    alice.start()
    alice.store.on_durable(PutMeta, lambda: durable.append(logins.seen))
    world.run(5)
    assert durable == [0], "no login had left when its count became durable"
    assert logins.seen == 1
    finish(world)


def test_first_copy_is_lost_and_the_second_is_delivered(seed):
    world, alice, bob = met(seed)
    again = alice.node.outbox.resent_messages
    lost = world.network.intercept("msg:R", copies=None)
    sent = alice.send("bob", b"one")
    world.run(0.005)
    later = alice.send("bob", b"two")
    world.run(0.1)
    assert lost.dropped >= 2
    world.server().restart()
    world.network.heal()
    world.run(30)
    assert alice.states(sent) == alice.states(later) == {"DELIVERED": 1}
    assert got(world, bob) == [b"hello", b"one", b"two"]
    assert alice.node.outbox.resent_messages == again + 2
    finish(world)


def test_first_message_is_not_forwarded_before_it_is_stamped(seed):
    world = World(seed)
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    alice.store.sync_s = 1.0
    alice.send("bob", payloads(3))
    world.run(1.9)
    stamped = [f for f in world.history.frames if isinstance(f.packet, MsgR)]
    assert {f.packet.runs[0].epoch for f in stamped} == {0}
    assert [] == [f for f in world.history.frames if isinstance(f.packet, MsgN)]
    world.settle()
    assert got(world, bob) == payloads(3)
    finish(world)


# --- Restraint ---


def test_server_that_routes_and_hears_nothing_is_not_flooded_with_copies(seed):
    world, alice, bob = met(seed)
    world.network.cut("server", bob.host)
    alice.send("bob", payloads(500))
    world.run(28)
    pushed = [
        msgid
        for frame in world.history.frames
        if isinstance(frame.packet, MsgN) and frame.destination == bob.host
        for msgid in frame.section()
    ]
    assert len(pushed) == len(set(pushed)), "no second msg:N while the first is not receipted"
    assert 0 < alice.node.outbox.resent_messages < 250
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(500)]


def test_end_to_end_timer_is_held_while_the_hop_is_trying(seed):
    world, alice, bob = met(seed)
    before = alice.node.outbox.resent_messages
    world.network.cut("server", alice.host)
    alice.send("bob", payloads(3))
    world.run(25)
    world.network.mend()
    world.settle()
    assert alice.node.outbox.resent_messages == before
    assert got(world, bob) == [b"hello", *payloads(3)]
    finish(world)


# --- Refusals ---


def test_full_queue_refuses_a_second_copy_and_the_first_one_counts(seed):
    world = World(seed)
    world.server(config=settings(ServerConfig, queue_messages_max=3))
    alice, bob, carol = world.client("alice"), world.client("bob"), world.client("carol")
    world.online()
    alice.send("bob", b"hello")
    world.settle()
    world.network.intercept("ack:R", source=bob.host, copies=None)
    sent = alice.send("bob", b"one")
    world.run(0.1)
    bob.crash()
    assert world.history.commits, "bob has it, and nobody knows"
    world.server().restart()
    world.network.cut("server", alice.host)
    world.run(20)
    carol.send("bob", payloads(3, "carol"))
    world.run(1)
    world.network.mend()
    refused = world.network.intercept("refuse", copies=None, drop=False)
    world.run(30)
    assert refused.seen >= 1
    assert set(alice.states(sent)) <= {"PENDING", "ACCEPTED"}
    world.network.heal()
    bob.start()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 1}
    assert got(world, bob).count(b"one") == 1


def test_permanent_refusal_of_a_second_copy_rejects_nothing(seed):
    world, alice, bob = met(seed)
    world.network.intercept("ack:R", source=bob.host, copies=None)
    sent = alice.send("bob", bytes(5000))
    world.run(1)
    assert len(got(world, bob)) == 2
    bob.crash()
    server = world.server()
    server.config = settings(ServerConfig, payload_bytes_max=1000)
    server.restart()
    refused = world.network.intercept("refuse", copies=None, drop=False)
    world.run(10)
    assert refused.seen >= 1
    assert alice.states(sent) == {"UNKNOWN": 1}, "it gives up, and the endpoints decide"
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 1}


# --- Incarnations of the recipient ---


def test_verdict_of_a_lost_inbox_says_nothing_of_the_new_one(seed):
    world, alice, bob = met(seed)
    late = world.network.intercept("ack:N", destination=alice.host, copies=None)
    sent = alice.send("bob", payloads(3))
    world.run(0.2)
    assert late.dropped >= 1
    bob.lose_disk()
    world.network.intercept("msg:N", destination=bob.host, copies=None)
    world.run(5)
    known = alice.node.outbox.stream(sent.stream).audience.views[0].incarnation
    assert known == bob.node.outbox.incarnation, "alice knows the new inbox"
    late.copies = ()
    world.run(5)
    stream = alice.node.outbox.stream(sent.stream)
    assert stream.floor <= sent.first, "the old inbox's receipt empties no row"
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(3), *payloads(3)], "once for each inbox"


def test_new_inbox_gets_again_what_another_device_holds_open(seed):
    world, alice, phone = met(seed)
    laptop = laptop_away(world, alice)
    sent = alice.send("bob", payloads(3))
    world.settle()
    world.run(1)
    phone.lose_disk()
    world.online()
    alice.send("bob", b"next")
    world.run(10)
    assert got(world, phone) == [b"hello", b"both", *payloads(3), *payloads(3), b"next"]
    assert alice.states(sent) == {"DELIVERED": 3}, "what was shown stays shown"
    finish(world)
    assert got(world, laptop) == [*payloads(3), b"next"]


def test_stored_of_a_lost_store_is_sent_again_to_who_has_nothing_to_offer(seed):
    world = World(seed)
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    bob.crash()
    world.run(40)
    sent = alice.send("bob", payloads(3))
    world.settle(stored=True)
    world.server().lose_disk()
    world.run_until(lambda: not alice.online)
    world.online()
    assert alice.states(sent) == {"PENDING": 3}
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 3}
    assert got(world, bob) == payloads(3)


# --- Deadlines and clocks ---


@pytest.mark.parametrize("jump_s", [YEAR_S, -YEAR_S])
def test_wall_clock_that_jumps_ends_no_deadline(seed, jump_s):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    sent = alice.send("bob", payloads(3), ttl_s=HOUR_S)
    world.settle(stored=True)
    alice.wall_skew_ms += int(jump_s * 1000)
    world.run(HOUR_S / 2)
    assert alice.states(sent) == {"STORED": 3}
    alice.restart()
    world.run(HOUR_S / 2)
    assert alice.states(sent) == {"STORED": 3}, "a stored lifetime is remaining time, not a date"
    bob.start()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 3}
    assert got(world, bob) == [b"hello", *payloads(3)]


@pytest.mark.parametrize("has_it", [True, False])
def test_clock_that_jumps_may_give_up_and_decides_no_verdict(seed, has_it):
    world, alice, bob = met(seed)
    world.network.intercept("ack:N" if has_it else "msg:N", copies=None)
    sent = alice.send("bob", payloads(3), ttl_s=HOUR_S)
    world.run(0.5)
    world.network.cut("server", bob.host)
    alice.jump_clock(YEAR_S)
    world.run(1)
    assert alice.states(sent) == {"UNKNOWN": 3}
    finish(world)
    assert alice.states(sent) == {"DELIVERED" if has_it else "VOID": 3}
    assert got(world, bob) == [b"hello", *(payloads(3) if has_it else [])]


# --- Another account ---


def test_messages_of_one_account_never_leave_under_another(seed):
    """Alice logs out with messages open, and Carol logs in at the same machine."""
    world, alice, bob = met(seed)
    world.server().crash()
    world.run(40)
    open_ = alice.send("bob", payloads(3, "alice"))
    world.run(1)
    alice.close()
    carol = world.client("carol", alice.endpoint.device)
    world.server().start()
    world.online()
    carol.send("bob", payloads(3, "carol"))
    world.run(30)
    assert got(world, bob) == [b"hello", *payloads(3, "carol")]
    senders = {one.msgid.stream.user for one in world.history.handovers[1:]}
    assert senders == {"carol"}
    carol.close()
    alice.restart()
    finish(world)
    assert alice.states(open_) == {"DELIVERED": 3}
    assert got(world, bob)[4:] == payloads(3, "alice")
