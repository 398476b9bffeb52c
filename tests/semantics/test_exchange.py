"""The six-packet exchange on bad networks: losses, orders, devices, absences (PROTOCOL §5)."""

import itertools

import pytest

from tests.semantics.situations import (
    EXCHANGED,
    FOUR,
    NEVER_RETIRES,
    ROUTED,
    SIX,
    bad,
    finish,
    got,
    laptop_away,
    met,
    payloads,
    six_only,
)
from tests.settings import settings
from udpim.config import WINDOW, ServerConfig
from udpim.im.records import PutInbox, PutQueue
from udpim.model import StreamId
from udpim.node.state import LinkState
from udpim.testing import World
from udpim.wire.im_codec import encode_section
from udpim.wire.im_packets import AckR, EpochRun, MsgR

# --- Bad networks ---


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.2, 0.3, 0.5])
@pytest.mark.parametrize("number", range(3))
def test_exchange_survives_loss_duplication_and_reordering(seed, ratio, number):
    world = World(f"{seed}/{number}", faults=bad(ratio))
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online(300)
    for turn in range(10):
        alice.send("bob", payloads(8, f"a{turn}-"))
        bob.send("alice", payloads(5, f"b{turn}-"))
        world.run(0.2)
    world.settle(400)
    expected = [p for turn in range(10) for p in payloads(8, f"a{turn}-")]
    assert expected == got(world, bob)
    expected = [p for turn in range(10) for p in payloads(5, f"b{turn}-")]
    assert expected == got(world, alice)
    counters = world.network.counters
    if ratio:
        assert min(counters["lost"], counters["duplicated"], counters["reordered"]) > 0
    finish(world)


def test_the_same_seed_is_the_same_run(seed):
    def run():
        world = World(seed, faults=bad(0.2))
        world.server()
        alice = world.client("alice")
        world.client("bob")
        alice.send("bob", payloads(50))
        world.run(30)
        return [(c.sent_at, c.source, c.data) for c in world.network.trace]

    assert run() == run()


@pytest.mark.parametrize("copies", [(1,), (1, 2), (1, 2, 3, 4)], ids=str)
@pytest.mark.parametrize("label", EXCHANGED)
def test_each_of_the_six_may_be_lost(seed, label, copies):
    world, alice, bob = met(seed)
    lost = world.network.intercept(label, copies=copies)
    sent = alice.send("bob", payloads(3))
    world.run(15)
    assert lost.dropped >= 1
    assert alice.states(sent) == {"DELIVERED": 3}
    assert got(world, bob) == [b"hello", *payloads(3)]
    finish(world)


@pytest.mark.parametrize("label", ["login", "login-ok", "members", "HELLO", "WELCOME"])
def test_each_packet_of_a_beginning_may_be_lost(seed, label):
    world = World(seed)
    lost = world.network.intercept(label, copies=(1, 2, 3))
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    alice.send("bob", payloads(20))
    world.settle()
    assert lost.dropped == 3
    assert got(world, bob) == payloads(20)
    finish(world)


@pytest.mark.parametrize("label", EXCHANGED)
def test_nat_gives_a_new_address_at_each_of_the_six(seed, label):
    """A change of address is a path change, not a reconnect."""
    world, alice, bob = met(seed)
    for client in (alice, bob):
        world.network.intercept(label, source=client.host, drop=False, then=client.rebind)
        world.network.intercept(label, destination=client.host, drop=False, then=client.rebind)
    alice.send("bob", payloads(5))
    world.run(25)
    assert got(world, bob) == [b"hello", *payloads(5)]
    assert [state for state, _ in alice.links].count(LinkState.ONLINE) == 1
    finish(world)


# --- The recipient is away, has several devices, joins late ---


def test_one_device_online_and_one_away(seed):
    world, alice, phone = met(seed)
    laptop = laptop_away(world, alice)
    before = got(world, phone)
    sent = alice.send("bob", payloads(10))
    world.settle()
    assert alice.states(sent) == {"DELIVERED": 10}
    stream = alice.node.outbox.stream(sent.stream)
    assert stream.floor <= sent.first, "armed for the laptop"
    laptop.start()
    world.run(30)
    assert got(world, laptop) == payloads(10), "and nothing from before it joined"
    assert got(world, phone) == [*before, *payloads(10)]
    assert stream.floor == sent.last + 1
    finish(world)


def test_a_device_that_joins_between_gets_what_is_due_to_it_and_claims_nothing_else(seed):
    world, alice, phone = met(seed)
    phone.crash()
    world.run(40)
    before = alice.send("bob", payloads(5, "before"))
    world.settle(stored=True)
    laptop = world.client("bob", "laptop")
    world.online()
    between = alice.send("bob", b"alice learns of the laptop")
    world.run(5)
    after = alice.send("bob", payloads(5, "after"))
    world.run(20)
    assert got(world, laptop) == payloads(5, "after")
    for _ in range(3):
        laptop.restart()
        world.run(20)
    assert alice.states(before) == {"STORED": 5}, "nobody has it yet"
    assert alice.states(between) == {"STORED": 1}
    assert alice.states(after) == {"DELIVERED": 5}
    phone.start()
    finish(world)
    assert alice.states(before) == alice.states(after) == {"DELIVERED": 5}
    assert got(world, phone)[1:6] == payloads(5, "before")
    assert got(world, phone)[-5:] == payloads(5, "after")


def test_the_exchange_is_the_one_that_these_tests_were_asked_for(seed):
    world, alice, bob = met(seed)
    alice.send("bob", payloads(20))
    finish(world)
    assert len(got(world, bob)) == 21
    said = {label for crossing in world.network.trace for label in crossing.content.labels}
    assert said & set(SIX) == set(EXCHANGED)


def test_a_backlog_of_ten_windows_drains_in_order_through_loss_and_two_crashes(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    world.network.default = bad(0.1)
    count = 10 * WINDOW
    sent = alice.send("bob", payloads(count))
    world.settle(300, stored=True)
    assert alice.states(sent) == {"STORED": count}
    bob.start()
    handed = world.history.handovers
    for part in (3, 7):
        world.run_until(lambda part=part: len(handed) > part * WINDOW, within_s=300)
        world.server().restart()
    world.settle(300)
    assert got(world, bob) == [b"hello", *payloads(count)]
    assert alice.states(sent) == {"DELIVERED": count}
    finish(world)


@pytest.mark.parametrize("ratio", [0.0, 0.2])
def test_a_backlog_of_many_windows_is_pulled_to_its_end_in_one_session(seed, ratio):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(35)
    count = 5 * WINDOW
    sent = alice.send("bob", payloads(count))
    world.settle(60, stored=True)
    world.network.default = bad(ratio)
    bob.start()
    world.settle(100)
    assert alice.states(sent) == {"DELIVERED": count}
    assert got(world, bob) == [b"hello", *payloads(count)]
    finish(world)


def test_backlog_of_many_senders_is_pulled_in_turn(seed):
    world = World(seed)
    world.server()
    bob = world.client("bob")
    world.online()
    bob.crash()
    senders = [world.client(f"user{n}") for n in range(8)]
    for sender in senders:
        sender.send("bob", payloads(40, sender.host))
    world.run(60)
    bob.start()
    finish(world)
    received = got(world, bob)
    for sender in senders:
        mine = [p for p in received if p.startswith(sender.host.encode())]
        assert mine == payloads(40, sender.host)


def test_more_than_the_window_waits_for_the_oldest(seed):
    world, alice, bob = met(seed)
    sent = alice.send("bob", payloads(3 * WINDOW))
    world.settle(200)
    assert got(world, bob) == [b"hello", *payloads(3 * WINDOW)]
    assert alice.states(sent) == {"DELIVERED": 3 * WINDOW}
    finish(world)


# --- Incarnations and store epochs ---


def test_both_sides_change_incarnation_while_copies_are_queued(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    old = alice.send("bob", payloads(20, "old"))
    world.settle(stored=True)
    alice.lose_disk()
    new = alice.send("bob", payloads(20, "new"))
    world.settle(stored=True)
    bob.lose_disk()
    finish(world)
    assert old.stream != new.stream
    received = got(world, bob)
    assert [p for p in received if p.startswith(b"new")] == payloads(20, "new")
    assert [p for p in received if p.startswith(b"old")] == payloads(20, "old")


def some_settled_and_some_open(seed):
    """The recipient is down; five more are behind the sender's floor, two have not arrived."""
    world, alice, bob = met(seed)
    alice.send("bob", payloads(5, "settled"))
    world.run(0.045)
    world.network.intercept("msg:N", copies=None)
    alice.send("bob", payloads(2, "open"))
    world.run(0.5)
    bob.crash()
    return world, alice, bob


@six_only  # it stops between two packets of a flight that is shorter without msg:A
def test_new_incarnation_learns_the_floor_although_the_first_word_of_it_is_lost(seed):
    world, _, bob = some_settled_and_some_open(seed)
    world.run(40)
    world.network.heal()
    told = world.network.intercept("offline:A", destination=bob.host, then=bob.crash)
    bob.lose_disk()
    world.run(5)
    assert told.dropped == 1
    finish(world)
    assert got(world, bob)[-2:] == payloads(2, "open")


def test_verdicts_of_a_new_incarnation_that_overtake_its_coming_are_not_lost(seed):
    """The recipient hears that the sender has them, and says them no more."""
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    sent = alice.send("bob", payloads(3))
    world.settle(stored=True)
    late = world.network.intercept("members", copies=(1, 2, 3, 4))
    bob.lose_disk()
    world.run(1)
    assert late.dropped == 4
    assert alice.node.outbox.drops["verdict of an unknown incarnation"] == 1
    world.run(5)
    assert alice.states(sent) == {"DELIVERED": 3}
    finish(world)


def test_receipts_that_the_sender_has_are_offered_once_more_and_no_more(seed):
    world, _, bob = met(seed)
    for offered in (1, 0, 0):
        offers = world.network.intercept("ack:R", copies=None, drop=False)
        bob.restart()
        world.run(5)
        assert offers.seen == offered
        world.network.heal()
    finish(world)


@pytest.mark.parametrize("returns", ["the sender", "nobody", "the recipient too"])
def test_new_incarnation_learns_the_floor_although_its_sender_died_before_telling_it(seed, returns):
    """The sender knows the new inbox, and that is all: the rest of it is answered from a row."""
    world, alice, bob = some_settled_and_some_open(seed)
    world.run(1)
    world.network.heal()
    world.network.intercept("ack:N", destination=alice.host, copies=None)
    world.network.intercept("msg:R", copies=None)
    world.network.intercept("status:R", copies=None, then=later(world, 0.005, alice.crash))
    bob.lose_disk()
    world.run(40)
    assert not alice.up
    assert got(world, bob) == [b"hello", *payloads(5, "settled")], "the rest waits at a gap"
    world.network.heal()
    if returns == "the recipient too":
        bob.crash()
    if returns != "nobody":
        alice.start()
        world.run(30)
    finish(world)
    assert got(world, bob)[-2:] == payloads(2, "open")


def later(world, after_s, do):
    """Something to do a little later, once."""
    calls = iter([do])
    return lambda: world.clock.call_later(after_s, next(calls, lambda: None))


def test_memory_inbox_draws_an_incarnation_at_every_start(seed):
    world = World(seed)
    world.server()
    alice, bob = world.client("alice"), world.client("bob", durable=False)
    world.online()
    bob.handle_after_s = None
    sent = alice.send("bob", payloads(5))
    world.run(10)
    assert alice.states(sent) == {ROUTED: 5}, "not before the application has finished with it"
    bob.handle(2)
    world.run(1)
    assert alice.states(sent) == {"DELIVERED": 2, ROUTED: 3}
    first = world.history.incarnations[bob.endpoint]
    bob.handle_after_s = 0.0
    bob.restart()
    finish(world)
    assert world.history.incarnations[bob.endpoint] != first
    assert alice.states(sent) == {"DELIVERED": 5}
    assert got(world, bob)[5:] == payloads(5)[2:], "what was not settled comes again"


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("listens", [True, False])
def test_what_a_lost_sender_left_behind_a_gap_is_handed_over(seed, durable, listens):
    world = World(seed)
    world.server()
    alice, bob = world.client("alice", durable=False), world.client("bob", durable=durable)
    world.online()
    alice.send("bob", [b"hello"])
    world.settle()
    world.network.intercept("msg:R")
    world.network.intercept("msg:N", drop=False, then=alice.crash)
    alice.send("bob", [b"lost"])
    world.run(0.001)
    alice.send("bob", [b"behind"])
    world.run(40)
    if not listens:
        bob.pause()
        world.run(40)
    alice.start()
    world.run(60)
    bob.resume()
    finish(world)
    assert got(world, bob) == [b"hello", b"behind"]


def test_memory_server_never_says_stored(seed):
    world = World(seed)
    world.server(durable=False)
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    bob.crash()
    world.run(40)
    sent = alice.send("bob", payloads(5))
    world.run(60)
    assert set(alice.states(sent)) <= {"ACCEPTED", "PENDING"}
    world.server().restart()
    bob.start()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 5}
    assert got(world, bob) == payloads(5)


def test_a_thousand_stored_are_sent_again_under_a_new_store_epoch(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    sent = alice.send("bob", payloads(1000))
    world.settle(stored=True)
    assert alice.states(sent) == {"STORED": 1000}
    world.server().lose_disk()
    world.run_until(lambda: "STORED" not in alice.states(sent))
    bob.start()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 1000}
    assert got(world, bob) == [b"hello", *payloads(1000)]


def test_void_is_not_said_while_an_endpoint_that_may_have_it_is_missing_in_a_new_store(seed):
    world, alice, phone = met(seed)
    laptop = world.client("bob", "laptop")
    world.online()
    alice.send("bob", b"both")
    world.settle()
    phone.crash()
    world.network.intercept("ack:R", copies=None)
    sent = alice.send("bob", [b"late"])
    world.run(2)
    laptop.crash()
    world.server().lose_disk()
    phone.start()
    alice.cancel(sent)
    world.network.heal()
    world.online()
    world.run(30)
    assert alice.states(sent) == {"UNKNOWN": 1}, "the phone says VOID, the laptop has it"
    laptop.start()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 1}


def test_stored_is_asked_for_every_six_hours(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    sent = alice.send("bob", payloads(3))
    world.settle(stored=True)
    world.run(60)
    asked = world.network.intercept("status:R", copies=None, drop=False)
    msgs = world.network.intercept("msg:R", copies=None, drop=False)
    world.run(6 * 3600)
    assert asked.seen >= 1
    assert msgs.seen == 0, "what is STORED is not sent again"
    assert alice.states(sent) == {"STORED": 3}
    bob.start()
    finish(world)


# --- Giving up ---


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.01, 0.021, 0.025, 0.041, 0.045, 0.07, 0.09, 1.0])
@pytest.mark.parametrize("devices", [1, 2])
def test_cancel_races_delivery(seed, after_s, devices):
    world, alice, phone = met(seed)
    if devices == 2:
        world.client("bob", "laptop")
        world.online()
        alice.send("bob", b"both")
        world.run(5)
    sent = alice.send("bob", payloads(4))
    world.run(after_s)
    alice.cancel(sent)
    after = alice.send("bob", b"after")
    finish(world)
    states = alice.states(sent)
    received = [p for p in got(world, phone) if p in payloads(4)]
    assert states in ({"DELIVERED": 4}, {"VOID": 4})
    if devices == 1:
        assert states == ({"DELIVERED": 4} if received else {"VOID": 4})
    assert alice.states(after) == {"DELIVERED": 1}


@pytest.mark.parametrize("drops", list(itertools.combinations([*SIX[:4], "cancel:N"], 2)), ids=str)
def test_cancel_races_delivery_while_packets_are_lost(seed, drops):
    world, alice, bob = met(seed)
    for label in drops:
        world.network.intercept(label, copies=(1, 2))
    sent = alice.send("bob", payloads(4))
    world.run(0.05)
    alice.cancel(sent)
    finish(world)
    received = [p for p in got(world, bob) if p in payloads(4)]
    assert alice.states(sent) == ({"DELIVERED": 4} if received else {"VOID": 4})


def test_cancel_that_a_crash_took_back_had_reached_nobody(seed):
    world, alice, bob = met(seed)
    world.network.intercept("msg:N", copies=None)
    sent = alice.send("bob", payloads(3))
    world.run(1)
    alice.store.sync_s = 0.5
    cancels = world.network.intercept("cancel:R", copies=None, drop=False)
    alice.cancel(sent)
    world.run(0.3)
    alice.crash()
    assert cancels.seen == 0
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 3}
    assert got(world, bob) == [b"hello", *payloads(3)]


def test_deadline_of_a_queued_message_makes_it_unknown_then_void(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    sent = alice.send("bob", payloads(3), ttl_s=60)
    kept = alice.send("bob", b"kept")
    world.settle(stored=True)
    world.run(70)
    assert alice.states(sent) == {"UNKNOWN": 3}
    bob.start()
    finish(world)
    assert alice.states(sent) == {"VOID": 3}
    assert alice.states(kept) == {"DELIVERED": 1}
    assert got(world, bob) == [b"hello", b"kept"]


def test_deadline_over_before_anything_left_is_void_at_once(seed):
    world, alice, bob = met(seed)
    world.server().crash()
    world.run(40)
    sent = alice.send("bob", payloads(3), ttl_s=5)
    world.run(10)
    assert alice.states(sent) == {"VOID": 3}
    finish(world)
    assert got(world, bob) == [b"hello"]


def test_unknown_that_was_delivered_is_shown_delivered(seed):
    world, alice, _ = met(seed)
    world.network.intercept("ack:N", copies=None)
    sent = alice.send("bob", payloads(3), ttl_s=2)
    world.run(5)
    assert alice.states(sent) == {"UNKNOWN": 3}
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 3}


def test_deadline_survives_a_restart(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    sent = alice.send("bob", payloads(3), ttl_s=60)
    world.settle(stored=True)
    alice.crash()
    alice.start()
    world.run(80)
    assert alice.states(sent) == {"UNKNOWN": 3}
    bob.start()
    finish(world)
    assert alice.states(sent) == {"VOID": 3}


def test_delivered_stays_shown_when_the_inbox_is_lost_and_the_sender_restarts(seed):
    world, alice, phone = met(seed)
    laptop = laptop_away(world, alice)
    sent = alice.send("bob", b"one")
    world.settle()
    alice.cancel(sent)
    world.run(1)
    phone.lose_disk()
    world.run(10)
    alice.restart()
    laptop.start()
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 1}


# --- Refusals ---


def test_unknown_recipient_is_rejected(seed):
    world, alice, _ = met(seed)
    sent = alice.send("nobody", payloads(3))
    world.settle()
    assert alice.states(sent) == {"REJECTED": 3}
    finish(world)


@pytest.mark.parametrize("large", [0, 1, 2])
def test_message_refused_among_the_first_is_no_gap_for_the_others(seed, large):
    """Nobody has heard of the stream when it is refused, and soon somebody waits for it."""
    world = World(seed)
    world.server(config=settings(ServerConfig, payload_bytes_max=2000))
    alice, bob = world.client("alice"), world.client("bob")
    alice.node.payload_bytes_max = 10_000  # as before the first login
    world.online()
    small = world.network.intercept("msg:R", copies=None)
    sent = [alice.send("bob", bytes(10)) for _ in range(large)]
    world.run(0.004)
    world.network.heal()
    sent.append(alice.send("bob", bytes(3000)))
    world.run(0.045)
    refused = [c for c in world.network.trace if "refuse" in c.content.labels]
    assert bool(large) == bool(small.dropped)
    assert refused
    sent += [alice.send("bob", bytes(10)) for _ in range(2 - large)]
    world.settle()
    world.run(2)
    received = [len(payload) for payload in got(world, bob)]
    assert received == [10, 10]
    states = [state for one in sent for state in alice.states(one)]
    assert sorted(states) == ["DELIVERED", "DELIVERED", "REJECTED"]
    finish(world)


def test_recipient_without_a_device_is_only_a_delay(seed):
    world, alice, _ = met(seed)
    world.server().known_users.add("carol")
    sent = alice.send("carol", payloads(3))
    world.run(60)
    assert set(alice.states(sent)) <= {"PENDING", "ACCEPTED"}
    carol = world.client("carol")
    finish(world)
    assert alice.states(sent) == {"DELIVERED": 3}
    assert got(world, carol) == payloads(3)


def test_full_queue_slows_down_and_loses_nothing(seed):
    world = World(seed)
    world.server(config=settings(ServerConfig, queue_messages_max=20))
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    bob.crash()
    world.run(40)
    for part in range(5):
        alice.send("bob", payloads(10, f"{part}-"))
        world.run(1)
    world.run(60)
    bob.start()
    finish(world)
    assert got(world, bob) == [p for part in range(5) for p in payloads(10, f"{part}-")]


# --- Promises (I7), equal answers (I8) ---


@pytest.mark.parametrize("second", ["copy", "cancel"])
def test_copy_or_cancel_during_a_pending_commit_is_answered_after_it(seed, second):
    world, alice, bob = met(seed)
    bob.store.sync_s = 0.5
    sent = alice.send("bob", payloads(3))
    world.run(0.1)
    assert bob.store.pending == 1
    if second == "copy":
        alice.resend(sent.msgids[0])
    else:
        alice.cancel(sent)
    answers = world.network.intercept("ack:R", copies=None, drop=False)
    world.run(0.3)
    assert answers.seen == 0
    world.run(2)
    assert answers.seen >= 1
    assert alice.states(sent) == {"DELIVERED": 3}, "a commit wins"
    finish(world)


def test_receipt_comes_again_after_the_application_has_finished(seed):
    world, alice, bob = met(seed)
    world.network.intercept("ack:N", copies=None, then=lambda: None)
    sent = alice.send("bob", payloads(3))
    world.run(1)
    assert got(world, bob) == [b"hello", *payloads(3)]
    assert world.history.handled, "and its rows are done with"
    world.server().restart()
    world.network.heal()
    world.settle()
    assert alice.states(sent) == {"DELIVERED": 3}
    assert got(world, bob) == [b"hello", *payloads(3)]
    finish(world)


def test_full_disk_at_the_recipient_promises_nothing(seed):
    world, alice, bob = met(seed)
    bob.store.fail()
    sent = alice.send("bob", payloads(3))
    world.run(5)
    assert bob.node.state is LinkState.CLOSED
    assert len(bob.errors) == 1
    assert set(alice.states(sent)) <= {"ACCEPTED", "STORED"}
    bob.restart()
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(3)]


def test_full_disk_at_the_sender_accepts_nothing(seed):
    world, alice, bob = met(seed)
    alice.store.fail()
    sent = alice.send("bob", b"one")
    world.run(5)
    assert world.history.sends[sent.msgids[0]].accepted is None
    alice.restart()
    finish(world)
    assert got(world, bob) == [b"hello"]


def test_full_disk_at_the_server_says_nothing_of_stored(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    world.server().store.fail()
    sent = alice.send("bob", payloads(3))
    world.run(2)
    assert alice.states(sent) == {ROUTED: 3}
    assert len(world.server().errors) == 1
    world.settle(stored=True)
    assert alice.states(sent) == {"STORED": 3}, "the end-to-end timer brings it again"
    bob.start()
    finish(world)


def test_commit_that_landed_although_fsync_failed_is_not_repeated(seed):
    world, alice, bob = met(seed)
    bob.store.fail(lands=True)
    alice.send("bob", payloads(3))
    world.run(5)
    bob.restart()
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(3)]


@pytest.mark.parametrize("op_type", [PutInbox, PutQueue])
def test_crash_in_which_the_pending_transaction_lands(seed, op_type):
    world, alice, bob = met(seed)
    if op_type is PutQueue:
        bob.crash()
        world.run(40)
    victim = bob if op_type is PutInbox else world.server()
    victim.store.on_submit(op_type, lambda: victim.crash(landing=9))
    alice.send("bob", payloads(3))
    world.run(5)
    assert not victim.up
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(3)]


def test_accepted_never_disarms(seed):
    world, alice, bob = met(seed)
    world.network.cut_one_way("server", bob.host)
    sent = alice.send("bob", payloads(3))
    world.run(1)
    assert alice.states(sent) == {ROUTED: 3}
    alice.restart()
    world.run(1)
    assert alice.node.outbox.open_messages == 3
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(3)]


# --- Authority (I13) ---


def test_forged_receipt_of_another_user_is_ignored(seed):
    world, alice, bob = met(seed)
    mallory = world.client("mallory")
    world.online()
    world.history.hostile.add(mallory.host)
    world.network.cut("server", bob.host)
    sent = alice.send("bob", payloads(3))
    world.run(1)
    forge_receipt(mallory, sent.stream, ((sent.first, sent.last + 5),))
    forge_receipt(mallory, sent.stream._replace(conversation="mallory"), ((1, 9),))
    world.run(2)
    assert alice.states(sent) == {ROUTED: 3}
    finish(world)
    assert got(world, bob) == [b"hello", *payloads(3)]


def forge_receipt(client, stream, delivered):
    """Let a logged-in client claim that it has messages of a stream."""
    handle = 1000 + len(stream.conversation)
    client.inject(AckR(handle, stream, False, delivered, ()))


def test_verdict_for_a_seq_never_used_proves_a_rollback(seed):
    """Bob claims more than alice ever sent: she takes another incarnation, and nothing is lost."""
    world, alice, bob = met(seed)
    sent = alice.send("bob", payloads(3))
    world.settle()
    forge_receipt(bob, sent.stream, ((1, 99),))
    world.run(40)
    again = alice.send("bob", b"again")
    assert again.stream.incarnation != sent.stream.incarnation
    world.settle()
    assert got(world, bob) == [b"hello", *payloads(3), b"again"]


def test_name_of_another_sender_is_replaced_by_the_session_s(seed):
    world, _, _ = met(seed)
    mallory = world.client("mallory")
    world.online()
    mallory.send("bob", b"who is there?")
    world.settle()
    before = len(world.history.handovers)
    name = StreamId("alice", "phone", 5, "bob")
    section = encode_section(1, [1], [b"forged"])
    epoch = world.server().node.router.registry.epoch("bob")  # so bob is due it, whoever sends
    mallory.inject(MsgR(9, name, 1, (EpochRun(1, epoch),), 0, section))
    world.run(2)
    handovers = world.history.handovers[before:]
    assert [one.msgid.stream.user for one in handovers] == ["mallory"]


# --- Replay (I16) ---


@pytest.mark.parametrize("elsewhere", [False, True])
def test_replay_of_every_datagram_changes_nothing(seed, elsewhere):
    world = World(seed, faults=bad(0.1))
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    alice.send("bob", payloads(40))
    bob.send("alice", payloads(10))
    world.settle()
    captured = list(world.network.trace)
    before = (got(world, alice), got(world, bob), dict(world.history.commits))
    for number, crossing in enumerate(captured):
        source = ("mallory", 666 + number % 7) if elsewhere else None
        world.network.replay(crossing, source=source, delay_s=0.001 * number)
    world.run(60)
    bob.restart()
    world.run(5)
    for crossing in captured:
        world.network.replay(crossing, source=("mallory", 1) if elsewhere else None)
    world.run(60)
    assert before == (got(world, alice), got(world, bob), dict(world.history.commits))
    assert alice.online
    assert bob.online
    finish(world)


def test_copy_delayed_by_a_year_is_not_delivered_again(seed):
    world, alice, bob = met(seed, server_config=NEVER_RETIRES)
    alice.send("bob", payloads(3))
    world.settle()
    captured = [c for c in world.network.trace if {"msg:R", "msg:N"} & set(c.content.labels)]
    for client in (alice, bob):
        client.crash()
    for pause_s in (601.0, 86400.0, 365 * 86400.0):
        world.run(pause_s)
        alice.start()
        bob.start()
        world.online()
        for crossing in captured:
            world.network.replay(crossing)
        world.run(5)
        assert got(world, bob) == [b"hello", *payloads(3)]
        alice.crash()
        bob.crash()
    finish(world)


# --- Order (I11) ---


def test_a_gap_holds_back_its_own_stream_only(seed):
    world, alice, bob = met(seed)
    carol = world.client("carol")
    world.online()
    carol.send("bob", b"hello")
    world.settle()
    world.network.intercept("msg:R", source=alice.host)
    alice.send("bob", b"first")
    world.run(0.005)
    alice.send("bob", b"second")
    carol.send("bob", b"other")
    world.run(0.06)
    assert got(world, bob) == [b"hello", b"hello", b"other"], "FIFO within a stream, not across"
    world.settle()
    received = got(world, bob)
    assert received == [b"hello", b"hello", b"other", b"first", b"second"]
    finish(world)


def test_void_fills_the_gap(seed):
    world, alice, bob = met(seed)
    world.network.intercept("msg:N", copies=None)
    gap = alice.send("bob", b"gap")
    world.run(0.03)
    alice.cancel(gap)
    world.network.heal()
    alice.send("bob", b"after")
    finish(world)
    assert alice.states(gap) == {"VOID": 1}
    assert got(world, bob) == [b"hello", b"after"]


def test_every_interleaving_of_restarts_keeps_the_order(seed):
    world = World(seed, faults=bad(0.2))
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    bob.handle_after_s = 0.05
    victims = [alice, bob, world.server()]
    for turn in range(24):
        alice.send("bob", payloads(7, f"{turn}-"))
        world.run(0.4)
        victims[turn % 3].restart(landing=turn % 2)
        world.run(1.5)
    finish(world)
    first = list(dict.fromkeys(got(world, bob)))
    accepted = [s.payload for s in world.history.sends.values() if s.accepted]
    assert [p for p in first if p in set(accepted)] == accepted


# --- Sessions, restraint, silence ---


def test_second_login_displaces_the_first(seed):
    world, _, bob = met(seed)
    twin = world.client("bob", "phone2")
    twin.config = bob.config
    del world.clients[twin.host]
    twin.restart()
    world.run(5)
    assert bob.node.state is LinkState.CLOSED
    assert twin.online
    assert LinkState.WAITING not in [state for state, _ in bob.links]


def test_refused_login_is_final(seed):
    world = World(seed)
    world.server().refuse = lambda endpoint, token: "wrong token"
    alice = world.client("alice")
    world.run(60)
    assert alice.node.state is LinkState.CLOSED
    assert len([state for state, _ in alice.links if state is LinkState.DIALING]) == 1


@pytest.mark.parametrize("kind", ["first messages", "cancel"])
def test_a_message_has_one_end_to_end_timer(seed, kind):
    """Copies that asked for the membership or came before a cancel do not repeat on their own."""
    world = World(seed)
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    world.network.cut("server", bob.host)
    label = "msg:R"
    if kind == "cancel":
        sent = alice.send("bob", payloads(5))
        world.run(1)
        alice.cancel(sent)
        label = "cancel:R"
    else:
        alice.send("bob", payloads(5))
        world.run(0.5)
    copies = world.network.intercept(label, copies=None, drop=False)
    world.run(24)
    assert copies.seen <= 3 + (kind == "cancel"), "at 3 s, 9 s and 21 s"
    finish(world)


@pytest.mark.parametrize("ratio", [0.3, 0.5])
def test_two_layers_of_retries_do_not_multiply(seed, ratio):
    """I12 at high loss: the end-to-end timer is held while the hop is trying."""
    world = World(seed, faults=bad(ratio, delay_s=0.1))
    world.server()
    alice = world.client("alice")
    world.client("bob")
    world.online(300)
    for turn in range(60):
        alice.send("bob", payloads(20, f"{turn}-"))
        world.run(1)
    world.settle(400)
    finish(world)


def test_everything_settled_is_silence(seed):
    world, alice, bob = met(seed)
    for client, other in ((alice, "bob"), (bob, "alice")):
        client.send(other, payloads(100))
    world.settle()
    world.run(30)
    since = world.clock.now
    world.run(600)
    world.oracle.check_quiet(since)


def test_states_of_a_plain_delivery_rise_in_order(seed):
    world, alice, _ = met(seed)
    sent = alice.send("bob", b"one")
    world.settle()
    states = [shown.state.name for shown in world.history.shown[sent.msgids[0]]]
    assert states == ["DELIVERED"] if FOUR else ["ACCEPTED", "DELIVERED"]
