"""The sender's other devices: they get what was sent, and have no say in what is shown."""

import pytest

from tests.semantics.situations import ROUTED, bad, finish, got, payloads
from udpim.config import ServerConfig
from udpim.model import MessageState
from udpim.testing import World


def at_home(seed, *devices, faults=None, **settings):
    """Alice with a phone and these devices, and bob; everybody knows whom they write to."""
    world = World(seed, **({} if faults is None else {"faults": faults}))
    world.server(**settings)
    phone, *others = [world.client("alice", name) for name in ("phone", *(devices or ("tablet",)))]
    bob = world.client("bob")
    world.online(300)
    phone.send("bob", b"hello")
    world.settle(300)
    return world, phone, *others, bob


def streams(world, client):
    """Of what a client was given: from which device, and in which conversation."""
    return [
        (one.msgid.stream.device, one.msgid.stream.conversation)
        for one in world.history.handovers
        if one.endpoint == client.endpoint
    ]


def settled_everywhere(world, client):
    """Let time pass until the sender keeps no row any more."""
    world.run_until(lambda: client.node.outbox.open_messages == 0, within_s=300)


@pytest.mark.parametrize("ratio", [0.0, 0.2])
def test_they_get_everything_once_in_order_with_the_recipient_as_conversation(seed, ratio):
    world, phone, tablet, bob = at_home(seed, faults=bad(ratio) if ratio else None)
    sent = phone.send("bob", payloads(50))
    tablet.send("bob", payloads(20, "t"))
    world.settle(300)
    settled_everywhere(world, phone)
    settled_everywhere(world, tablet)
    assert {("phone", "bob")} == set(streams(world, tablet))
    assert got(world, tablet) == [b"hello", *payloads(50)]
    assert got(world, phone) == payloads(20, "t"), "and never what they sent themselves"
    assert sorted(got(world, bob)) == sorted([b"hello", *payloads(50), *payloads(20, "t")])
    assert phone.states(sent) == {"DELIVERED": 50}
    finish(world)


def test_a_device_that_was_away_catches_up_without_the_one_that_wrote(seed):
    world, phone, tablet, _bob = at_home(seed)
    tablet.crash()
    world.run(40)
    sent = phone.send("bob", payloads(30))
    world.run(5)
    assert phone.states(sent) == {"DELIVERED": 30}, "bob has it: nobody is told of the tablet"
    assert phone.node.outbox.open_messages == 30, "who is waited for all the same"
    phone.close()
    world.run(5)
    tablet.start()
    world.run(10)
    assert got(world, tablet) == [b"hello", *payloads(30)]
    phone.crash()
    finish(world)
    settled_everywhere(world, phone)


def test_a_copy_that_is_stored_for_them_is_not_sent_again(seed):
    world, phone, tablet, _ = at_home(seed)
    tablet.crash()
    world.run(40)
    phone.send("bob", payloads(5))
    world.run(5)
    before = phone.node.outbox.resent_messages
    world.run(600)
    assert phone.node.outbox.resent_messages == before
    tablet.start()
    finish(world)
    assert got(world, tablet) == [b"hello", *payloads(5)]


def test_their_verdict_never_makes_a_message_delivered(seed):
    world, phone, tablet, bob = at_home(seed)
    bob.crash()
    world.run(40)
    sent = phone.send("bob", payloads(3))
    world.run(10)
    assert got(world, tablet) == [b"hello", *payloads(3)]
    assert phone.states(sent) == {"STORED": 3}, "the server has it for bob"
    phone.restart()
    world.run(5)
    assert phone.states(sent) == {"STORED": 3}
    bob.start()
    finish(world)
    assert phone.states(sent) == {"DELIVERED": 3}


def test_their_copy_in_the_servers_queue_shows_nothing(seed):
    world, phone, tablet, _bob = at_home(seed)
    tablet.crash()
    world.run(40)
    world.network.intercept("ack:R", source="bob", copies=None)
    sent = phone.send("bob", b"x")
    world.run(2)
    assert phone.states(sent) == {ROUTED: 1}, "the tablet has it STORED, bob has said nothing"
    tablet.start()
    finish(world)
    assert phone.states(sent) == {"DELIVERED": 1}


def test_a_cancel_reaches_them_and_their_void_is_not_shown(seed):
    world, phone, tablet, bob = at_home(seed)
    bob.crash()
    tablet.crash()
    world.run(40)
    sent = phone.send("bob", payloads(3))
    world.run(5)
    phone.cancel(sent)
    world.run(5)
    assert phone.states(sent) == {"UNKNOWN": 3}
    tablet.start()
    world.run(10)
    assert phone.states(sent) == {"UNKNOWN": 3}, "only bob can say that he will never have it"
    bob.start()
    finish(world)
    assert phone.states(sent) == {"VOID": 3}
    assert got(world, tablet) == got(world, bob) == [b"hello"]
    after = phone.send("bob", b"after the gap")
    finish(world)
    assert phone.states(after) == {"DELIVERED": 1}
    assert got(world, tablet) == got(world, bob) == [b"hello", b"after the gap"]


def test_a_cancel_that_only_they_were_too_late_for_is_a_void(seed):
    world, phone, tablet, bob = at_home(seed)
    bob.crash()
    world.run(40)
    sent = phone.send("bob", b"x")
    world.run(5)
    assert got(world, tablet) == [b"hello", b"x"]
    phone.cancel(sent)
    bob.start()
    finish(world)
    assert phone.states(sent) == {"VOID": 1}
    assert got(world, bob) == [b"hello"]


def test_a_device_that_comes_later_gets_what_is_sent_from_then_on(seed):
    world, phone, tablet, bob = at_home(seed)
    watch = world.client("alice", "watch")
    world.online()
    phone.send("bob", b"the phone learns of the watch")
    world.run(5)
    phone.send("bob", payloads(3))
    finish(world)
    assert got(world, watch) == payloads(3)
    assert got(world, tablet) == [b"hello", b"the phone learns of the watch", *payloads(3)]
    assert got(world, bob) == got(world, tablet)


def test_a_device_that_lost_its_disk_gets_what_is_open_again_and_no_more(seed):
    world, phone, tablet, bob = at_home(seed)
    bob.crash()
    world.run(40)
    sent = phone.send("bob", payloads(3))
    world.run(5)
    tablet.lose_disk()
    world.run(20)
    bob.start()
    finish(world)
    assert phone.states(sent) == {"DELIVERED": 3}
    assert got(world, tablet) == [b"hello", *payloads(3), *payloads(3)]


# --- To oneself ---


def test_a_message_to_oneself_is_delivered_by_the_other_devices(seed):
    world, phone, tablet, watch, bob = at_home(seed, "tablet", "watch")
    sent = phone.send("alice", payloads(5, "note"))
    finish(world)
    assert phone.states(sent) == {"DELIVERED": 5}
    assert got(world, tablet)[1:] == got(world, watch)[1:] == payloads(5, "note")
    assert ([], [b"hello"]) == (got(world, phone), got(world, bob))
    settled_everywhere(world, phone)


def test_a_message_to_oneself_waits_for_another_device(seed):
    world = World(seed)
    phone = world.client("alice")
    world.online()
    sent = phone.send("alice", payloads(3, "note"))
    world.run(60)
    assert phone.states(sent) == {"PENDING": 3}
    tablet = world.client("alice", "tablet")
    world.online()
    finish(world)
    assert phone.states(sent) == {"DELIVERED": 3}
    assert got(world, tablet) == payloads(3, "note")


def test_a_message_to_oneself_may_be_given_up_before_there_is_another_device(seed):
    world = World(seed)
    phone = world.client("alice")
    world.online()
    sent = phone.send("alice", b"note")
    world.run(60)
    phone.cancel(sent)
    tablet = world.client("alice", "tablet")
    world.online()
    finish(world)
    assert phone.state(sent.msgids[0]) in (MessageState.VOID, MessageState.UNKNOWN)
    assert got(world, tablet) == []


# --- Retired ---

RETIRES = ServerConfig(retire_after_s=3600.0)


def test_nobody_waits_for_an_own_device_that_was_not_seen_for_too_long(seed):
    world, phone, tablet, _bob = at_home(seed, config=RETIRES)
    tablet.crash()
    world.run(40)
    sent = phone.send("bob", payloads(3))
    world.run(10)
    assert phone.node.outbox.open_messages == 3
    world.run(3 * 3600)
    settled_everywhere(world, phone)
    assert phone.states(sent) == {"DELIVERED": 3}
    tablet.start()
    world.online()
    phone.send("bob", b"the phone learns of the tablet")
    world.run(5)
    phone.send("bob", b"after")
    finish(world)
    assert got(world, tablet) == [b"hello", b"after"]


def test_a_message_to_a_user_whose_devices_are_retired_waits_for_the_next_one(seed):
    world, phone, tablet, bob = at_home(seed, config=RETIRES)
    bob.crash()
    world.run(3 * 3600)
    sent = phone.send("bob", payloads(3))
    world.run(100)
    assert phone.states(sent) == {"PENDING": 3}
    laptop = world.client("bob", "laptop")
    world.online()
    finish(world)
    assert phone.states(sent) == {"DELIVERED": 3}
    assert got(world, laptop) == payloads(3)
    assert got(world, tablet)[-3:] == payloads(3)
