"""Rules of the server in which a mistake shows only in trouble (PROTOCOL §5.5)."""

from collections import Counter

from tests.semantics.situations import ROUTED, Carrying, finish, got, laptop_away, met, payloads
from tests.settings import settings
from udpim.config import ServerConfig
from udpim.im.records import PutInbox
from udpim.testing import World
from udpim.wire.im_packets import AckN

# --- STORED ---


def test_server_that_dies_before_the_fsync_has_promised_nothing(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    world.server().store.sync_s = 0.3
    sent = alice.send("bob", payloads(5))
    world.run(0.1)
    world.server().crash()
    world.run(2)
    assert "STORED" not in alice.states(sent)
    world.server().start()
    world.settle(stored=True)
    assert alice.states(sent) == {"STORED": 5}
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(5)]


def test_a_device_that_was_away_gets_everything_from_a_server_that_lost_its_disk(seed):
    world, alice, _ = met(seed)
    laptop = laptop_away(world, alice)
    alice.send("bob", payloads(5))
    world.settle()
    world.run(5)
    world.server().lose_disk()
    laptop.start()
    world.run(60)
    finish(world)
    assert got(world, laptop)[-5:] == payloads(5)


# --- The queue ---


def test_pulled_rows_stay_until_their_verdict(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    sent = alice.send("bob", payloads(5))
    world.settle(stored=True)
    alice.crash()
    bob.start()
    bob.store.on_submit(PutInbox, bob.crash)
    world.run(5)
    assert not bob.up, "it died with what it had pulled"
    bob.start()
    world.run(10)
    assert got(world, bob) == [b"hello", *payloads(5)], "without the sender's help"
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 5}


def test_push_that_was_not_receipted_survives_the_session_without_its_sender(seed):
    world, alice, bob = met(seed)
    world.network.cut_one_way("server", bob.host)
    sent = alice.send("bob", payloads(5))
    world.run(0.5)
    assert alice.states(sent) == {ROUTED: 5}
    alice.crash()
    world.run(60)
    world.network.heal()
    world.run(60)
    assert got(world, bob) == [b"hello", *payloads(5)], "alice is still away"
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 5}


def test_full_queue_is_told_and_other_conversations_go_on(seed):
    world = World(seed)
    world.server(config=settings(ServerConfig, queue_messages_max=5))
    alice, bob, carol, dave = (world.client(u) for u in ("alice", "bob", "carol", "dave"))
    world.online()
    for one in ("bob", "dave"):
        alice.send(one, b"hello")
    carol.send("dave", b"hello")
    world.settle()
    bob.crash()
    world.run(40)
    alice.send("bob", payloads(5))
    world.run(1)
    refused = world.network.intercept("refuse", copies=None, drop=False)
    over = alice.send("bob", payloads(3, "over"))
    others = [alice.send("dave", payloads(3, "a")), carol.send("dave", payloads(3, "c"))]
    world.run(20)
    assert refused.seen >= 1, "it is said, not passed over in silence"
    assert "ACCEPTED" not in alice.states(over)
    assert alice.states(others[0]) == carol.states(others[1]) == {"DELIVERED": 3}
    assert sorted(got(world, dave)[2:]) == sorted(payloads(3, "a") + payloads(3, "c"))
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(5), *payloads(3, "over")]


def test_receipts_take_no_place_in_a_full_queue(seed):
    world = World(seed)
    world.server(config=settings(ServerConfig, queue_messages_max=3))
    alice, bob, carol = (world.client(u) for u in ("alice", "bob", "carol"))
    world.online()
    bob.send("carol", b"hello")
    alice.send("bob", b"hello")
    world.settle()
    carol.handle_after_s = None
    world.network.cut("server", carol.host)
    waiting = bob.send("carol", payloads(10, "bob"))
    world.run(0.5)
    bob.crash()
    world.run(40)
    alice.send("bob", payloads(3, "alice"))
    world.settle(stored=True)
    node = world.server().node
    assert node.router.queue.count(bob.endpoint) == 3, "bob's queue is full"
    world.network.heal()
    carol.handle_after_s = 0.0
    carol.restart()
    world.run(10)
    assert got(world, carol)[-10:] == payloads(10, "bob")
    assert len(node.router.receipts) >= 1, "bob's receipts wait beside his full queue"
    assert node.router.queue.count(bob.endpoint) == 3
    carol.crash()
    bob.start()
    world.run(10)
    assert bob.states(waiting) == {"DELIVERED": 10}, "carol is away: it was the row"
    finish(world)


# --- The rate of a user ---


def test_user_beyond_the_rate_is_slowed_down_and_nobody_else(seed):
    world = World(seed)
    rate = {"user_messages_per_s_max": 20, "user_messages_burst_max": 40}
    world.server(config=settings(ServerConfig, **rate))
    alice, bob, carol = (world.client(u) for u in ("alice", "bob", "carol"))
    laptop = world.client("alice", "laptop")
    world.online()
    for one in (alice, carol, laptop):
        one.send("bob", b"hello")
    world.settle()
    refused = world.network.intercept("refuse", copies=None, drop=False)
    sent = [alice.send("bob", [b"a%d" % n]) for n in range(100)]
    sent.append(laptop.send("bob", payloads(20, "l")))
    world.run(0.2)
    assert refused.seen >= 1, "it is said"
    calm = carol.send("bob", payloads(10, "c"))
    world.run(0.5)
    assert carol.states(calm) == {"DELIVERED": 10}, "another user has another rate"
    drops = world.server().node.drops
    assert drops["message beyond its user's rate"] >= 1
    assert any(alice.states(one) != {"DELIVERED": 1} for one in sent[:100])
    world.settle(1200)
    finish(world)
    assert sum((alice.states(one) for one in sent[:100]), Counter()) == {"DELIVERED": 100}
    assert laptop.states(sent[100]) == {"DELIVERED": 20}
    order = got(world, bob)
    assert [p for p in order if p.startswith(b"a")] == [b"a%d" % n for n in range(100)]
    assert len(order) == 3 + 100 + 20 + 10


# --- Giving up ---


def test_no_void_before_the_recipient_although_the_server_that_pushed_died(seed):
    """The first life of the server pushes, the second one queues, and the sender gives up."""
    world, alice, bob = met(seed)
    world.network.intercept("ack:R", source=bob.host, copies=None)
    sent = alice.send("bob", payloads(3))
    world.run(0.2)
    assert got(world, bob) == [b"hello", *payloads(3)], "bob has it, and nobody knows"
    world.server().crash()
    bob.crash()
    world.server().start()
    world.run(10)
    assert alice.states(sent) == {"STORED": 3}
    alice.cancel(sent)
    world.run(30)
    assert alice.states(sent) == {"UNKNOWN": 3}
    verdicts = [f.packet for f in world.history.frames if isinstance(f.packet, AckN)]
    assert not any(packet.void for packet in verdicts)
    bob.start()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 3}
    assert got(world, bob) == [b"hello", *payloads(3)]


def test_void_item_closes_the_gap_although_its_sender_is_away(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    given_up = alice.send("bob", payloads(3))
    world.settle(stored=True)
    alice.cancel(given_up)
    kept = alice.send("bob", b"kept")
    world.run(0.5)
    assert alice.states(kept) == {"STORED": 1}
    alice.crash()
    bob.start()
    world.run(10)
    assert got(world, bob) == [b"hello", b"kept"]
    finish(world)
    assert alice.states(given_up) == {"VOID": 3}


# --- Receipts ---


def test_sender_that_was_away_learns_of_the_delivery_without_its_recipient(seed):
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


def test_forged_ack_n_of_another_session_is_not_taken(seed):
    """Only the server says ack:N: a client that says it to the server is not understood."""
    world, alice, bob = met(seed)
    mallory = world.client("mallory")
    world.online()
    world.history.hostile.add(mallory.host)
    world.network.cut("server", bob.host)
    sent = alice.send("bob", payloads(3))
    world.run(1)
    stream = alice.node.outbox.stream(sent.stream)
    view = stream.audience.views[0]
    epoch = world.server().node.router.store_epoch
    verdict = (view.ordinal, view.incarnation, epoch, ((sent.first, sent.last),), (), (), ())
    mallory.inject(AckN(77, sent.stream, *verdict))
    mallory.inject(AckN(78, sent.stream, view.ordinal, 0, epoch, (), (), ((1, 9),), ()))
    world.run(2)
    assert alice.states(sent) == {ROUTED: 3}
    mallory.restart()
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(3)]


# --- Streams that end ---


def test_what_a_restored_store_still_had_to_bring_is_not_voided(seed):
    """Its login says that the old stream continues: who waits behind a gap goes on waiting."""
    world, alice, bob = met(seed)
    world.network.intercept("msg:R", copies=Carrying(world, 2))
    oldest = alice.send("bob", b"oldest")
    world.run(0.01)
    alice.send("bob", payloads(4))
    world.run(0.5)
    assert got(world, bob) == [b"hello"], "the others wait for the oldest"
    backup = alice.back_up()
    alice.send("bob", b"after the backup")
    world.run(0.5)
    alice.close()
    world.run(1)
    world.network.heal()
    alice.restore(backup)
    world.online()
    new = alice.send("bob", b"new")
    finish(world)
    assert alice.states(oldest) == alice.states(new) == {"DELIVERED": 1}
    assert new.stream != oldest.stream
    old = [b"hello", b"oldest", *payloads(4), b"after the backup"]
    assert [p for p in got(world, bob) if p != b"new"] == old
