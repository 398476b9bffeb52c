"""Labels name rare things that happened, by what happened and not by what was asked for."""

import pytest

pytest.importorskip("apsw", reason="needs the extra sim")

from dataclasses import asdict

from tests.testing.facts import ALICE, BOB, EPOCH, INBOX, ONE, RUN, STREAM, frame, msg_r, went_well
from tests.testing.sim.plans import action, crash, cut_short, plan, send, watched
from udpim.im.records import InStreamRecord, PutMeta
from udpim.model import Endpoint, MessageState, MsgId
from udpim.testing.facts import SERVER
from udpim.testing.faults import Loss
from udpim.testing.sim.labels import ALL, LINK_LABELS, LOSABLE, OP_LABELS, STATE_LABELS, reached
from udpim.testing.sim.plan import Seat
from udpim.testing.sim.run import run
from udpim.testing.sim.swarm import draw
from udpim.testing.wiretap import LABELS
from udpim.wire import im_packets as p
from udpim.wire.im_codec import encode_section

TWO = MsgId(STREAM, 2)


class World:
    """As much of a world as labels look at, around a history."""

    def __init__(self, history):
        self.history = history
        self.network = self
        self.counters = {name: 0 for name in LINK_LABELS}
        self.members = None


class Stage:
    def __init__(self, crashes=(), store_failures=0):
        self.crashes, self.store_failures = list(crashes), store_failures


def of(history, **stage):
    return set(reached(World(history), Stage(**stage)))


def test_no_label_is_there_twice():
    assert len(ALL) == len(set(ALL))


def test_what_runs_reach_is_known_and_is_much():
    seen = set().union(*(run(cut_short(draw(str(seed)), 6.0)).labels for seed in range(30)))
    assert seen <= set(ALL)
    assert len(seen) > len(ALL) / 2


def test_nothing_rare_is_in_an_exchange_that_went_well():
    assert set() == of(went_well())


def test_what_may_get_lost_has_a_name_on_the_wire():
    assert set(LOSABLE) <= set(LABELS)


# Histories by hand.


def stored(h):
    h.on_shown(TWO, MessageState.STORED, 1)


def stored_fell(h):
    stored(h)
    h.on_shown(TWO, MessageState.PENDING, 1)


def unknown_was_delivered(h):
    h.on_shown(TWO, MessageState.UNKNOWN, 1)
    h.on_shown(TWO, MessageState.DELIVERED, 1)


def handed_over_unasked(h):
    h.on_accepted(TWO, untold=True)
    h.on_handover(BOB, 1, TWO, b"two")


def died_before_its_row(h):
    h.rows.pop(TWO, None)


def void_run(h):
    h.inboxes[INBOX, STREAM].append((1, InStreamRecord(STREAM, 0, 0, 0, 1, ((2, 3),))))


def new_incarnation(h):
    void_run(h)
    other = (BOB, 10)
    h.inboxes[other, STREAM].append((1, InStreamRecord(STREAM, 0, 0, 0, 1, ())))


def refused(h):
    frame(h, p.Refuse(1, 0, RUN, 0), SERVER, "alice/phone")


def sent_again(h):
    frame(h, msg_r(), "alice/phone", SERVER)


def offered_again(h):
    frame(h, p.AckR(1, STREAM, False, RUN, ()), "bob/phone", SERVER)


def copy_met_its_commit(h):
    frame(h, p.MsgN(1, STREAM, 1, 1, encode_section(1, [1], [b"one"])), SERVER, "bob/phone")


def base_was_raised(h):
    frame(h, p.MsgN(1, STREAM, 1, 2, encode_section(2, [1], [b"two"])), SERVER, "bob/phone")


def new_epoch(h):
    h.lines[EPOCH + 1]


def reborn(h):
    h.moved[ONE] = TWO


def restored_and_renewed(h):
    h.on_restored("alice/phone", h.order)
    h.on_durable("alice/phone", [PutMeta("incarnation", (99).to_bytes(8, "big"))])


BY_HAND = [
    (stored, "STORED shown"),
    (stored_fell, "STORED fell to PENDING"),
    (unknown_was_delivered, "UNKNOWN became DELIVERED"),
    (handed_over_unasked, "delivered although send() never returned"),
    (died_before_its_row, "a sender died before its outbox row"),
    (void_run, "a void run"),
    (new_incarnation, "a new incarnation of an inbox"),
    (refused, "a refused copy"),
    (sent_again, "sent again end to end"),
    (offered_again, "a receipt was offered again"),
    (copy_met_its_commit, "a copy met its commit"),
    (base_was_raised, "a base was raised"),
    (new_epoch, "a new store epoch"),
    (reborn, "a stream was reborn"),
    (restored_and_renewed, "a restored store drew a new incarnation"),
]


@pytest.mark.parametrize(("happens", "label"), BY_HAND, ids=[label for _, label in BY_HAND])
def test_what_happened_has_its_label(happens, label):
    history = went_well()
    history.on_send(STREAM, 2, [b"two"])
    history.rows[TWO] = (history.tick(), b"two")
    assert label not in of(history)
    happens(history)
    assert label in of(history)


@pytest.mark.parametrize("state", STATE_LABELS)
def test_every_rare_state_has_its_label(state):
    history = went_well()
    history.on_shown(ONE, state, 1)
    assert STATE_LABELS[state] in of(history)


@pytest.mark.parametrize("op", OP_LABELS)
def test_every_rare_operation_has_its_label(op):
    history = went_well()
    history.ops[op] += 1
    assert {OP_LABELS[op]} == of(history)


@pytest.mark.parametrize("counter", LINK_LABELS)
def test_every_fault_of_a_link_has_its_label(counter):
    world = World(went_well())
    world.counters[counter] = 1
    assert {LINK_LABELS[counter]} == set(reached(world, Stage()))


def test_crashes_are_told_apart():
    history = went_well()
    assert set() == of(history, crashes=[(history.tick(), "bob/phone", 0, 0)])
    in_a_write = of(history, crashes=[(history.tick(), SERVER, 2, 0)])
    assert {"a crash in a write"} == in_a_write
    landed = of(history, crashes=[(history.tick(), "alice/phone", 2, 1)])
    assert {"a crash in a write", "a commit landed that nobody was told of"} == landed
    between = history.commits[INBOX, ONE][0] + 1
    assert {"a crash between commit and receipt"} == of(
        history, crashes=[(between, "bob/phone", 0, 0)]
    )
    assert set() == of(history, crashes=[(between, "alice/phone", 0, 0)])


def test_a_failed_store_is_told():
    assert {"a store failed"} == of(went_well(), store_failures=1)


# Runs.


def test_what_is_lost_replayed_or_under_a_new_key_is_told():
    link = asdict(Loss.uniform(0.3).delay(0.02))
    replays = [
        action(1.5 + n, "replay", which=0.5, elsewhere=bool(n), delay_s=0.1) for n in range(2)
    ]
    sends = [send(1 + n / 4) for n in range(8)]
    seen = run(plan(*replays, *sends, link=link, key_update_packets=5, encrypted=True)).labels
    assert {"a replay arrived", "a replay from elsewhere arrived"} <= seen
    assert "a key update under loss" in seen
    assert any(label.endswith(" lost") for label in seen)
    assert not any(label.endswith(" lost") for label in run(plan(*sends)).labels)


def test_who_was_away_pulls_and_a_cancel_may_come_too_late():
    cut = action(0.9, "cut", "bob/phone", way="up", for_s=3.0)
    result = run(plan(cut, send(1.0), action(2.0, "cancel", which=0.0), length_s=5.0))
    assert "a cancel met a commit" in result.labels
    away = crash(0.9, "bob/phone", down_s=2.0)
    assert "a pulled item" in run(plan(away, send(1.0))).labels


def test_a_group_message_is_told():
    carol = Seat(user="carol", device="phone")
    members = [action(0.6, "join", f"{user}/phone") for user in ("bob", "carol")]
    seats = (*plan().seats, carol)
    group = plan(action(0.5, "group"), *members, send(2.0, to="the group"), seats=seats)
    result, world, _ = watched(group)
    assert "a group message delivered" in result.labels
    assert {"bob", "carol"} == {one.endpoint.user for one in world.history.handovers}
    assert Endpoint("carol", "phone") in {one.endpoint for one in world.history.handovers}
    assert ALICE not in {one.endpoint for one in world.history.handovers}
