"""Rules of the recipient in which a mistake shows only in trouble (PROTOCOL §5.4)."""

import pytest

from tests.semantics.situations import (
    EXCHANGED,
    NEVER_RETIRES,
    ROUTED,
    bad,
    finish,
    got,
    laptop_away,
    met,
    payloads,
    six_only,
)
from udpim.config import ClientConfig, Limits
from udpim.hop.config import HopConfig
from udpim.testing import World
from udpim.wire.im_packets import AckA, AckN, AckR

# --- Commits ---


def test_recipient_that_dies_around_its_commit_gets_everything_once(seed):
    world, alice, bob = met(seed)
    bob.store.sync_s = 0.2
    alice.send("bob", payloads(5))
    world.run(0.15)
    bob.crash()
    world.run(1)
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(5)]


def test_failed_commit_leaves_no_mark_for_the_retry(seed):
    """The commit fails, then a retry comes: it must not be taken for a duplicate."""
    world, alice, bob = met(seed)
    bob.store.fail()
    sent = alice.send("bob", payloads(3))
    world.run(5)
    for msgid in sent.msgids:
        alice.resend(msgid)
    world.run(30)
    assert bob.errors
    assert "DELIVERED" not in alice.states(sent)
    bob.restart()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 3}
    assert got(world, bob) == [b"hello", *payloads(3)]


def test_recipient_that_dies_after_the_hand_over_hands_over_again(seed):
    world, alice, bob = met(seed)
    bob.handle_after_s = None
    alice.send("bob", payloads(5))
    world.run(0.5)
    bob.handle_after_s = 0.0
    bob.restart()
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(5), *payloads(5)], "it had finished with none"


# --- Incarnations ---


@pytest.mark.parametrize("number", range(4))
def test_disk_that_the_server_hears_of_last_is_the_newest(seed, number):
    """Which of two was drawn first, nobody knows when the server has lost its disk, too."""
    world, alice, bob = met(f"{seed}/{number}")
    laptop_away(world, alice)
    bob.crash()
    copy = bob.back_up()
    world.server().lose_disk()
    bob.lose_disk()
    world.run(30)
    first = alice.send("bob", payloads(5, "first"))
    world.run(30)
    bob.restore(copy)
    world.run(30)
    second = alice.send("bob", payloads(5, "second"))
    finish(world)
    assert alice.states(first) == alice.states(second) == {"DELIVERED": 5}
    assert got(world, bob)[-5:] == payloads(5, "second")


# --- Dedup ---


def held_open_by_a_laptop(world, alice):
    """Messages that the phone has settled, and a laptop that is away keeps above floor."""
    laptop_away(world, alice)
    sent = alice.send("bob", payloads(5))
    world.settle()
    assert alice.node.outbox.stream(sent.stream).floor <= sent.first
    return sent


def msg_r_again(world, sender, numbers):
    """Let old msg:R come once more, as the sender's own end-to-end retransmission."""
    for crossing in world.network.trace[:numbers]:
        for _, packet in crossing.content.packets:
            if hasattr(packet, "runs") and hasattr(packet, "section") and packet.runs[0].epoch:
                stream = next(iter(world.history.sends)).stream
                name = stream._replace(user="", device="")
                sender.inject(packet._replace(handle=1, name=name))
    world.run(5)


@pytest.mark.parametrize(
    ("after_s", "restarts"),
    [
        pytest.param(601.0, False, id="10 min + 1 s"),
        pytest.param(86401.0, False, id="24 h + 1 s"),
        pytest.param(365 * 86400.0, True, id="a year and a restart"),
    ],
)
def test_late_copy_gets_the_same_verdict_and_is_delivered_no_second_time(seed, after_s, restarts):
    slow = HopConfig(keepalive_s=600.0, idle_timeout_s=2000.0)
    world, alice, phone = met(seed, hop_config=slow, server_config=NEVER_RETIRES)
    sent = held_open_by_a_laptop(world, alice)
    number = len(world.network.trace)
    if restarts:
        alice.crash()
        phone.crash()
    world.run(after_s)
    if restarts:
        alice.start()
        world.online()
        phone.start()
        world.online()
        world.run(1)
    answers = world.network.intercept("ack:R", source=phone.host, copies=None, drop=False)
    msg_r_again(world, alice, number)
    assert answers.seen >= 1
    assert alice.states(sent) == {"DELIVERED": 5}
    finish(world)
    assert got(world, phone) == [b"hello", b"both", *payloads(5)]
    assert all(len(orders) == 1 for orders in world.history.commits.values())


def test_copy_of_what_is_settled_is_answered_within_the_same_session(seed):
    world, alice, phone = met(seed)
    held_open_by_a_laptop(world, alice)
    answers = world.network.intercept("ack:R", source=phone.host, copies=None, drop=False)
    logins = world.network.intercept("login", copies=None, drop=False)
    msg_r_again(world, alice, len(world.network.trace))
    assert answers.seen >= 1
    assert logins.seen == 0
    assert got(world, phone) == [b"hello", b"both", *payloads(5)]
    finish(world)


def test_device_that_joined_between_claims_nothing_that_was_before_it(seed):
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
    assert got(world, laptop) == [b"after"]
    assert got(world, phone)[1:6] == payloads(5)


# --- Order ---


def test_messages_that_overtake_each_other_are_put_in_order(seed):
    world = World(seed, faults=bad(0.3))
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online(300)
    for turn in range(20):
        alice.send("bob", payloads(5, f"{turn}-"))
        world.run(0.05)
    finish(world)
    assert got(world, bob) == [p for turn in range(20) for p in payloads(5, f"{turn}-")]


# --- Receipts ---


def test_login_brings_the_lost_receipts_before_anybody_asks(seed):
    world, alice, bob = met(seed)
    world.network.intercept("ack:R", source=bob.host, copies=None)
    sent = alice.send("bob", payloads(3))
    world.run(0.5)
    assert got(world, bob) == [b"hello", *payloads(3)]
    for process in (alice, bob, world.server()):
        process.crash()
    world.network.heal()
    world.server().start()
    bob.start()
    world.online()
    world.run(1)
    bob.crash()
    world.run(40)
    alice.start()
    world.settle(20)
    assert alice.states(sent) == {"DELIVERED": 3}, "from the row, for bob is away"
    finish(world)


@six_only
def test_ack_a_waits_until_the_receipt_cannot_get_lost(seed):
    world, alice, bob = met(seed)
    world.run(1)
    said = world.network.intercept("ack:A", destination=bob.host, copies=None, drop=False)
    world.network.cut_one_way("server", alice.host)
    alice.send("bob", payloads(3))
    world.run(1)
    assert got(world, bob) == [b"hello", *payloads(3)]
    assert said.seen == 0, "alice has not heard, and no row keeps it"
    world.network.mend()
    world.run(10)
    assert said.seen >= 1
    finish(world)


def test_two_that_write_to_each_other_acknowledge_no_acknowledgement(seed):
    world, alice, bob = met(seed)
    for turn in range(20):
        alice.send("bob", payloads(5, f"a{turn}-"))
        bob.send("alice", payloads(5, f"b{turn}-"))
        world.run(0.02)
    world.settle()
    world.run(20)
    since = world.clock.now
    world.run(300)
    world.oracle.check_quiet(since)
    answers = [f for f in world.history.frames if isinstance(f.packet, AckA | AckN)]
    reports = [f for f in world.history.frames if isinstance(f.packet, AckR)]
    assert len(answers) <= 2 * len(reports) + 4
    finish(world)


# --- Replay ---


@pytest.mark.parametrize("label", EXCHANGED)
def test_replay_from_elsewhere_of_a_packet_that_was_lost_moves_no_path(seed, label):
    """The copy from elsewhere is the newest packet of its connection, and still moves nothing."""
    world, alice, bob = met(seed)
    network = world.network
    elsewhere = ("mallory", 666)

    def replay():
        network.replay(network.trace[-1], source=elsewhere, delay_s=0.01)

    network.intercept(label, then=replay)
    alice.send("bob", payloads(3))
    world.run(0.2)
    assert any(crossing.replayed for crossing in network.trace)
    for connection in world.server().node.connections():
        assert connection.path != elsewhere
    challenges = [c for c in network.trace if c.destination == elsewhere]
    assert all(set(c.content.labels) <= {"PATH_CHALLENGE"} for c in challenges)
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(3)]


# --- Poison ---


@pytest.mark.parametrize("durable", [True, False])
def test_message_set_aside_is_receipted_truly_and_holds_nobody_up(seed, durable):
    world = World(seed, faults=bad(0.1))
    world.server()
    alice, bob = world.client("alice"), world.client("bob", durable=durable)
    world.online()
    bob.handle_after_s = None
    poison = alice.send("bob", b"poison")
    rest = alice.send("bob", payloads(5))
    world.run(10)
    assert alice.states(poison) == ({"DELIVERED": 1} if durable else {ROUTED: 1})
    assert bob.set_aside()
    bob.handle()
    finish(world)
    assert alice.states(rest) == {"DELIVERED": 5}
    assert alice.states(poison) == ({"DELIVERED": 1} if durable else {"UNKNOWN": 1})
    assert got(world, bob) == [b"poison", *payloads(5)]
    bob.handle_after_s = 0.0
    bob.restart()
    finish(world)
    assert got(world, bob) == [b"poison", *payloads(5)], "it does not come again by itself"
    assert len(bob.node.inbox.aside.rows()) == (1 if durable else 0)


def test_message_set_aside_is_set_aside_again_if_its_mark_was_lost(seed):
    world, alice, bob = met(seed)
    bob.handle_after_s = None
    sent = alice.send("bob", payloads(3))
    world.run(5)
    bob.store.sync_s = 1.0
    assert bob.set_aside()
    bob.handle()
    bob.restart()
    world.run(5)
    assert [payload for _, _, payload in bob.waiting] == payloads(3), "nobody was told otherwise"
    assert bob.set_aside()
    bob.handle()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 3}
    assert [row.payload for row in bob.node.inbox.aside.rows()] == [b"m0"]


def test_no_room_to_set_aside_loses_and_drops_nothing(seed):
    world = World(seed)
    world.server()
    limits = Limits(aside_messages_max=1)
    alice = world.client("alice")
    bob = world.client(
        "bob", durable=False, config=ClientConfig(user="bob", device="phone", limits=limits)
    )
    world.online()
    bob.handle_after_s = None
    sent = alice.send("bob", payloads(3))
    world.run(5)
    assert bob.set_aside()
    assert not bob.set_aside()
    world.run(200)
    assert alice.states(sent) == {"UNKNOWN": 1, ROUTED: 2}
    bob.handle()
    finish(world)
    assert alice.states(sent) == {"UNKNOWN": 1, "DELIVERED": 2}
