"""Groups: everybody due gets every message once, receipts are few and true (PROTOCOL §5.10)."""

import random

import pytest

from tests.semantics.situations import ROUTED, bad, finish, got, payloads
from udpim.config import ServerConfig
from udpim.hop.config import HopConfig
from udpim.model import GroupAction, GroupCode, MessageState
from udpim.testing import World
from udpim.wire.im_codec import encode_section
from udpim.wire.im_packets import MsgN, Tally

ROOM = "#room"


def ask(world, client, action, group=ROOM, user=""):
    """Ask, and return the answer."""
    number = client.ask_group(action, group, user)
    for _ in range(400):
        for answer in client.group_answers:
            if answer.request == number:
                return answer
        world.run(0.05)
    raise AssertionError("no answer came")


def room(seed, users, *, durable=True, server_config=None, **settings):
    """A world with these users in one group."""
    world = World(seed, **settings)
    world.server(durable=durable, config=server_config)
    clients = [world.client(user, durable=durable) for user in users]
    world.online()
    assert GroupCode.DONE == ask(world, clients[0], GroupAction.CREATE).code
    for client in clients[1:]:
        assert GroupCode.DONE == ask(world, client, GroupAction.JOIN).code
    return world, *clients


def tallies(world, to):
    return [f for f in world.history.frames if isinstance(f.packet, Tally) and f.destination == to]


@pytest.mark.parametrize("durable", [True, False], ids=["sqlite", "memory"])
def test_everybody_but_the_sender_gets_every_message_once(seed, durable):
    world, alice, bob, carol = room(seed, ["alice", "bob", "carol"], durable=durable)
    sent = alice.send(ROOM, payloads(5))
    world.settle()
    assert alice.states(sent) == {"DELIVERED": 5}
    assert [got(world, c) for c in (alice, bob, carol)] == [[], payloads(5), payloads(5)]
    finish(world)


@pytest.mark.parametrize("durable", [True, False], ids=["sqlite", "memory"])
def test_everybody_talks_on_a_bad_network(seed, durable):
    world, *clients = room(seed, [f"u{n}" for n in range(6)], durable=durable, faults=bad(0.2))
    rng = random.Random(seed)
    for n in range(60):
        rng.choice(clients).send(ROOM, f"m{n}".encode())
        world.run(rng.random() * 0.2)
    finish(world)
    for client in clients:
        mine = {m for m, s in world.history.sends.items() if m.stream.user != client.config.user}
        assert len(got(world, client)) == len(mine)


def test_who_is_away_finds_it_all_later_and_the_sender_is_told_stored_meanwhile(seed):
    world, alice, _, carol = room(seed, ["alice", "bob", "carol"])
    carol.close()
    world.run(1)
    carol.crash()
    sent = alice.send(ROOM, payloads(5))
    world.run(10)
    assert alice.states(sent) == {"STORED": 5}
    carol.start()
    world.settle()
    assert alice.states(sent) == {"DELIVERED": 5}
    assert got(world, carol) == payloads(5)
    finish(world)


def test_who_joins_later_gets_what_is_sent_from_then_on(seed):
    world, alice, bob = room(seed, ["alice", "bob"])
    carol = world.client("carol")
    world.online()
    alice.send(ROOM, payloads(3, "before"))
    world.settle()
    assert GroupCode.DONE == ask(world, carol, GroupAction.JOIN).code
    alice.send(ROOM, payloads(3, "after"))
    world.settle()
    # The first copies carried the old membership: whoever joined is due what is stamped after.
    assert got(world, carol) == payloads(3, "after")
    assert got(world, bob) == payloads(3, "before") + payloads(3, "after")
    finish(world)


def test_nobody_waits_for_who_has_left(seed):
    world, alice, bob, carol = room(seed, ["alice", "bob", "carol"])
    carol.crash()
    world.run(40)
    sent = alice.send(ROOM, payloads(3))
    world.run(10)
    assert alice.states(sent) == {"STORED": 3}
    server = world.server().node
    assert GroupCode.DONE == server.change_group(GroupAction.LEAVE, ROOM, "carol", lambda ok: None)
    bob.send("alice", b"wakes the server")
    world.settle()
    assert alice.states(sent) == {"DELIVERED": 3}
    assert 0 == server.router.queue.count(carol.endpoint)
    finish(world)


def test_leaver_s_gaps_are_closed_and_the_rest_is_released(seed):
    world, alice, _, carol = room(seed, ["alice", "bob", "carol"])
    alice.send(ROOM, b"zero")
    world.settle()
    world.network.intercept("msg:N", destination=carol.host, copies=None)
    one = alice.send(ROOM, b"one")
    world.run(0.01)
    behind = MsgN(99, one.stream, one.first, one.first, encode_section(one.last + 1, [1], [b"two"]))
    inbox = carol.node.inbox
    inbox.receive_msg_n(one.stream, behind)
    world.run(0.01)
    assert got(world, carol) == [b"zero"], "two waits for one"
    assert GroupCode.DONE == ask(world, carol, GroupAction.LEAVE).code
    world.run(1)
    assert got(world, carol) == [b"zero", b"two"]
    assert alice.states(one) == {"DELIVERED": 1}, "bob has it, and nobody waits for carol"


def test_a_member_s_devices_all_get_it_and_one_of_them_is_enough(seed):
    world, alice, bob = room(seed, ["alice", "bob"])
    laptop = world.client("bob", "laptop")
    world.online()
    laptop.close()
    world.run(1)
    laptop.crash()
    sent = alice.send(ROOM, payloads(4))
    world.run(10)
    assert alice.states(sent) == {"DELIVERED": 4}
    laptop.start()
    world.online()
    world.run(2)
    assert got(world, laptop) == got(world, bob) == payloads(4)
    finish(world)


def test_message_to_a_group_of_one_is_excused_at_once(seed):
    world, alice = room(seed, ["alice"])
    sent = alice.send(ROOM, b"hello?")
    world.settle()
    assert alice.states(sent) == {"EXCUSED": 1}


def test_who_is_no_member_is_refused(seed):
    world, alice, bob = room(seed, ["alice", "bob"])
    mallory = world.client("mallory")
    world.online()
    sent = mallory.send(ROOM, b"let me in")
    other = mallory.send("#nowhere", b"anybody?")
    world.run(5)
    assert mallory.states(sent) == mallory.states(other) == {"REJECTED": 1}
    assert got(world, alice) == got(world, bob) == []
    assert GroupCode.FORBIDDEN == ask(world, mallory, GroupAction.LIST).code


def test_cancel_reaches_every_member(seed):
    world, alice, bob, carol = room(seed, ["alice", "bob", "carol"])
    carol.crash()
    bob.crash()
    world.run(40)
    sent = alice.send(ROOM, payloads(3))
    world.run(5)
    alice.cancel(sent)
    world.run(5)
    assert alice.states(sent) == {"UNKNOWN": 3}
    carol.start()
    bob.start()
    world.settle()
    assert alice.states(sent) == {"VOID": 3}
    assert got(world, carol) == got(world, bob) == []
    finish(world)


def test_group_survives_the_server_and_its_members(seed):
    world, alice, bob, carol = room(seed, ["alice", "bob", "carol"])
    rng = random.Random(seed)
    for n in range(30):
        alice.send(ROOM, f"m{n}".encode())
        world.run(0.05)
        if n % 7 == 3:
            victim = rng.choice([world.server(), alice, bob, carol])
            victim.crash()
            world.run(0.2)
            victim.start()
            world.run(1.0)
    finish(world)
    assert len(got(world, bob)) >= 30
    assert set(got(world, carol)) == {f"m{n}".encode() for n in range(30)}


def test_server_that_lost_its_disk_knows_no_group_and_senders_are_told(seed):
    world, alice, bob, carol = room(seed, ["alice", "bob", "carol"])
    alice.send(ROOM, payloads(2))
    world.settle()
    world.server().lose_disk()
    world.run(40)
    sent = alice.send(ROOM, b"still there?")
    world.run(10)
    assert alice.states(sent) == {"REJECTED": 1} or alice.states(sent) == {"PENDING": 1}
    assert GroupCode.DONE == ask(world, alice, GroupAction.CREATE).code
    for client in (bob, carol):
        assert GroupCode.DONE == ask(world, client, GroupAction.JOIN).code
    again = alice.send(ROOM, b"again")
    world.settle()
    assert alice.states(again) == {"DELIVERED": 1}


def test_member_s_new_inbox_gets_what_is_open(seed):
    world, alice, bob, carol = room(seed, ["alice", "bob", "carol"])
    carol.crash()
    world.run(40)
    sent = alice.send(ROOM, payloads(3))
    world.run(5)
    bob.lose_disk()
    carol.start()
    world.settle()
    assert alice.states(sent) == {"DELIVERED": 3}
    assert got(world, bob)[-3:] == payloads(3)
    finish(world)


@pytest.mark.parametrize("count", [200])
def test_receipts_of_a_large_group_are_few(seed, count):
    world, alice, *_ = room(seed, ["alice", *(f"m{n}" for n in range(count))])
    alice.send(ROOM, b"hello all")
    world.settle()
    begin = world.clock.now
    already = len(tallies(world, alice.host))
    sent = alice.send(ROOM, b"news")
    world.run(6)
    few = [f for f in tallies(world, alice.host)[already:] if f.at - begin <= 6]
    assert alice.states(sent) == {"DELIVERED": 1}
    assert 1 <= len(few) <= 5
    finish(world)


def test_copies_sent_again_go_to_the_missing_only(seed):
    world, alice, *others = room(seed, ["alice", *(f"m{n}" for n in range(20))])
    alice.send(ROOM, b"hello all")
    world.settle()
    lost = others[3]
    world.network.intercept("msg:N", destination=lost.host, copies=None)
    begin = len(world.history.frames)
    sent = alice.send(ROOM, b"news")
    world.run(20)
    assert alice.states(sent) == {ROUTED: 1}
    copies = [f for f in world.history.frames[begin:] if isinstance(f.packet, MsgN)]
    again = [f for f in copies if sum(g.destination == f.destination for g in copies) > 1]
    assert {f.destination for f in again} <= {lost.host}
    world.network.heal()
    finish(world)


def test_device_not_seen_for_long_is_retired_and_registers_anew(seed):
    day = 86_400.0
    slow = HopConfig(keepalive_s=600.0, idle_timeout_s=2000.0)
    config = ServerConfig(retire_after_s=2 * day)
    world, alice, _, carol = room(
        seed, ["alice", "bob", "carol"], server_config=config, hop_config=slow
    )
    alice.send("carol", b"direct")
    world.settle()
    carol.crash()
    world.run(3600)
    waiting = alice.send(ROOM, payloads(2))
    direct = alice.send("carol", b"are you there?")
    world.run(60)
    assert alice.states(waiting) == {"STORED": 2}
    world.run(3 * day)
    world.settle()
    assert alice.states(waiting) == {"DELIVERED": 2}
    assert alice.states(direct) == {"EXCUSED": 1}
    carol.start()
    world.online()
    world.run(1)
    late = alice.send(ROOM, b"welcome back")
    again = alice.send("carol", b"you too")
    world.settle()
    assert alice.states(late) == alice.states(again) == {"DELIVERED": 1}
    assert got(world, carol) == [b"direct", b"welcome back", b"you too"]


def test_read_goes_from_the_reader_to_the_sender_and_survives_both(seed):
    world, alice, bob = room(seed, ["alice", "bob"])
    sent = alice.send("bob", payloads(3))
    world.settle()
    bob.read(sent.msgids[1])
    world.run(1)
    assert [alice.state(m).name for m in sent.msgids] == ["READ", "READ", "DELIVERED"]
    alice.crash()
    bob.read(sent.msgids[2])
    world.run(1)
    world.server().crash()
    world.server().start()
    alice.start()
    world.online()
    world.run(15)  # bob hears of the restart with his next keepalive
    assert alice.states(sent) == {"READ": 3}
    _, inbox = world.history.inboxes[(bob.endpoint, bob.node.outbox.incarnation), sent.stream][-1]
    assert (3, 3) == (inbox.read, inbox.read_told)
    finish(world)


def test_group_is_read_when_everybody_has_read_it(seed):
    world, alice, bob, carol = room(seed, ["alice", "bob", "carol"])
    sent = alice.send(ROOM, payloads(1))
    world.settle()
    bob.read(sent.msgids[0])
    world.run(1)
    assert alice.states(sent) == {"DELIVERED": 1}
    carol.read(sent.msgids[0])
    world.run(1)
    assert alice.states(sent) == {"READ": 1}


def test_clock_in_the_far_future_is_refused_at_first_sight_and_harms_nobody_else(seed):
    world, alice, bob = room(seed, ["alice", "bob"])
    alice.wall_skew_ms = 10 * 365 * 86_400_000
    sent = alice.send("bob", b"from the future")
    world.run(5)
    assert alice.states(sent) == {"REJECTED": 1}
    bob.send("alice", b"mine is fine")
    world.settle()
    assert bob.node.outbox.stamp >> 16 < 2_000_000_000_000
    assert MessageState.DELIVERED in {s.state for v in world.history.shown.values() for s in v}


def test_stamps_follow_what_was_received(seed):
    world, alice, bob = room(seed, ["alice", "bob"])
    alice.wall_skew_ms = 3_600_000
    alice.send("bob", b"an hour ahead")
    world.settle()
    answer = bob.send("alice", b"but after it")
    world.settle()
    assert bob.states(answer) == {"DELIVERED": 1}
    assert bob.node.outbox.stamp > alice.node.outbox.stamp


def test_members_who_pull_their_queues_one_after_the_other_use_up_no_receipts(seed):
    world, alice, *others = room(seed, ["alice", *(f"m{n}" for n in range(13))])
    alice.send(ROOM, b"hello all")
    world.settle()
    away = others[1:]
    for client in away:
        client.crash()
    sent = alice.send(ROOM, b"news")
    world.settle(stored=True)
    world.run(30)
    already = len(tallies(world, alice.host))
    for client in away:
        client.start()
        world.run(0.1)
    world.run_until(lambda: alice.states(sent) == {"DELIVERED": 1}, within_s=6)
    assert len(tallies(world, alice.host)) - already <= 5
    finish(world)
