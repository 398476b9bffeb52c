"""Messages that wait in an offline queue for too long (PROTOCOL §5.5): only B says VOID."""

from tests.semantics.situations import finish, got, met, payloads
from tests.settings import settings
from udpim.config import STATUS_LEASE_S, ServerConfig
from udpim.wire.im_packets import AckN, MsgR

HOUR_S = 3600
YEAR_MS = 365 * 86_400_000
SHORT = settings(ServerConfig, queue_ttl_s=HOUR_S)
LONG_S = 1.25 * HOUR_S
"""By then all that waits has been found too old."""


def away(seed, **more):
    """Bob is away, and what alice sends him waits for an hour at most."""
    world, alice, bob, *others = met(seed, server_config=SHORT, **more)
    bob.crash()
    world.run(40)
    return world, alice, bob, *others


def void_said(world):
    return any(packet.void for f in world.history.frames if isinstance(packet := f.packet, AckN))


def test_what_waited_for_too_long_is_void_once_its_recipient_has_said_so(seed):
    world, alice, bob = away(seed)
    sent = alice.send("bob", payloads(5))
    world.settle(stored=True)
    world.run(LONG_S)
    assert alice.states(sent) == {"STORED": 5}, "a lease: nobody has asked yet"
    world.run(STATUS_LEASE_S)
    assert alice.states(sent) == {"UNKNOWN": 5}
    assert not void_said(world)
    brought = [f for f in world.history.frames if isinstance(f.packet, MsgR)]
    world.run(HOUR_S)
    again = [f for f in world.history.frames if isinstance(f.packet, MsgR)]
    assert len(brought) == len(again), "payloads are not brought in vain"
    bob.start()
    finish(world)
    assert alice.states(sent) == {"VOID": 5}
    assert got(world, bob) == [b"hello"]
    assert world.server().node.router.queue.total() == 0


def test_sender_that_was_away_as_well_learns_it_after_its_login(seed):
    world, alice, bob = away(seed)
    sent = alice.send("bob", payloads(3))
    world.settle(stored=True)
    alice.crash()
    world.run(LONG_S)
    alice.start()
    world.run(10)
    assert alice.states(sent) == {"UNKNOWN": 3}
    bob.start()
    finish(world)
    assert alice.states(sent) == {"VOID": 3}


def test_recipient_that_comes_back_first_closes_the_gap_although_the_sender_is_away(seed):
    world, alice, bob = away(seed)
    sent = alice.send("bob", payloads(3))
    world.settle(stored=True)
    world.run(LONG_S)
    late = alice.send("bob", b"late")
    world.settle(stored=True)
    alice.crash()
    bob.start()
    world.run(10)
    assert got(world, bob) == [b"hello", b"late"]
    finish(world)
    assert (alice.states(sent), alice.states(late)) == ({"VOID": 3}, {"DELIVERED": 1})


def test_copy_that_was_pushed_before_and_committed_wins(seed):
    world, alice, bob = met(seed, server_config=SHORT)
    world.network.intercept("ack:R", source=bob.host, copies=None)
    sent = alice.send("bob", payloads(3))
    world.run(0.5)
    assert got(world, bob) == [b"hello", *payloads(3)], "bob has it, and nobody knows"
    bob.crash()
    world.run(40)
    assert alice.states(sent) == {"STORED": 3}
    world.run(LONG_S)
    assert world.server().node.router.delivery.expired_messages == 3
    alice.restart()
    world.run(10)
    assert alice.states(sent) == {"UNKNOWN": 3}
    bob.start()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 3}
    assert got(world, bob) == [b"hello", *payloads(3)]


def test_clock_moved_by_a_year_and_a_server_that_is_down_end_nothing(seed):
    world, alice, bob = away(seed)
    sent = alice.send("bob", payloads(3))
    world.settle(stored=True)
    world.run(HOUR_S / 2)
    server = world.server()
    server.wall_skew_ms += YEAR_MS
    world.run(60)
    server.crash()
    alice.crash()
    world.run(3 * HOUR_S)
    server.wall_skew_ms -= 2 * YEAR_MS
    server.start()
    world.run(60)
    assert server.node.router.delivery.expired_messages == 0
    server.wall_skew_ms = 0
    bob.start()
    alice.start()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 3}
    assert got(world, bob) == [b"hello", *payloads(3)]


def test_server_that_restarts_often_still_counts_the_time(seed):
    world, alice, bob = away(seed)
    sent = alice.send("bob", payloads(3))
    world.settle(stored=True)
    alice.crash()
    for _ in range(10):
        world.run(HOUR_S / 6)
        world.server().restart()
    assert world.server().node.router.queue.find(bob.endpoint, sent.stream).voids.count() == 3
    alice.start()
    bob.start()
    finish(world)
    assert alice.states(sent) == {"VOID": 3}


def test_device_that_is_away_for_long_does_not_keep_the_message_from_another(seed):
    world, alice, _ = met(seed, server_config=SHORT)
    laptop = world.client("bob", "laptop")
    world.online()
    laptop.crash()
    world.run(40)
    sent = alice.send("bob", payloads(3))
    world.settle()
    assert alice.states(sent) == {"DELIVERED": 3}
    world.run(LONG_S + STATUS_LEASE_S)
    assert alice.states(sent) == {"DELIVERED": 3}
    laptop.start()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 3}
    assert got(world, laptop) == []


def test_server_that_loses_its_disk_afterwards_is_told_of_the_void(seed):
    world, alice, bob = away(seed)
    sent = alice.send("bob", payloads(3))
    world.settle(stored=True)
    world.run(LONG_S + STATUS_LEASE_S)
    assert alice.states(sent) == {"UNKNOWN": 3}
    world.server().lose_disk()
    world.online()
    bob.start()
    finish(world)
    assert alice.states(sent) == {"VOID": 3}
    assert got(world, bob) == [b"hello"]
