"""What the server tells senders, in packets that fit (PROTOCOL §4.5)."""

import pytest

from tests.im.helpers import (
    ALICE,
    CAROL,
    DURABLE,
    EPOCH,
    GROUP,
    INC,
    LAPTOP,
    PHONE,
    STREAM,
    Server,
    of,
)
from udpim.im.answers import RANGES_A_PACKET, Answers
from udpim.im.conversations import Conversations
from udpim.im.devices import Registry
from udpim.im.groups import Groups
from udpim.im.session import Named, ReadRelay, Relay, Session
from udpim.im.tally import DELIVERED, STORED, VOID
from udpim.wire.im_codec import decode, encode
from udpim.wire.im_packets import AckA, AckN, Members, StatusA, Tally

FRAME_BYTES_MAX = 1164
LONG = STREAM._replace(user="u" * 32, device="d" * 32, conversation="bob")

LAPTOP_ORDINAL = 2
"""The recipient's second device: the sender's own have the odd ordinals."""


def setup(*, durable=True):
    registry = Registry(())
    for endpoint in (PHONE, LAPTOP):
        registry.put(registry.logged_in(endpoint, DURABLE | 1, 1))
    conversations = Conversations(registry, Groups((), (), registry))
    answers = Answers(conversations, store_epoch=EPOCH, durable=durable)
    return answers, Session(ALICE, INC, lambda: 0.0, {}), registry


def sent(session):
    packets = [packet for packet, _ in session.frames]
    session.frames.clear()
    for packet in packets:
        assert packet == decode(encode(packet))
        assert len(encode(packet)) <= FRAME_BYTES_MAX
    return packets


def holes(count, first=1):
    return [(first + 2 * n, first + 2 * n) for n in range(count)]


def test_the_membership_is_told_once_and_after_each_change():
    answers, alice, registry = setup()
    answers.members(alice, STREAM)
    answers.members(alice, STREAM)
    (packet,) = sent(alice)
    assert (EPOCH, 2, ["phone", "laptop"]) == (
        packet.store_epoch,
        packet.epoch,
        [member.device for member in packet.members],
    )
    answers.told(alice, STREAM)
    assert [] == sent(alice)
    registry.put(registry.logged_in(PHONE, DURABLE | 2, 1))
    answers.members(alice, STREAM)
    assert 1 == len(sent(alice))


def test_a_change_waits_for_the_ack_of_the_last_one_since_frames_have_no_order():
    answers, alice, registry = setup()
    answers.members(alice, STREAM)
    registry.put(registry.logged_in(PHONE, DURABLE | 2, 1))
    answers.members(alice, STREAM, again=True)
    assert 1 == len(sent(alice))
    answers.told(alice, STREAM)
    (packet,) = sent(alice)
    assert DURABLE | 2 == packet.members[0].incarnation


def test_whoever_stamps_wrongly_is_told_again():
    answers, alice, _ = setup()
    answers.members(alice, STREAM)
    answers.told(alice, STREAM)
    answers.members(alice, STREAM, again=True)
    assert [Members, Members] == [type(packet) for packet in sent(alice)]


@pytest.mark.parametrize("kept", [True, False])
def test_verdicts_with_many_holes_take_several_packets(kept):
    answers, alice, _ = setup()
    delivered, void = tuple(holes(45)), tuple(holes(5, 2))
    relay = Relay(LONG, LAPTOP, DURABLE | 1, delivered, void)
    answers.verdicts(alice, relay, kept=kept)
    tags = [tag for _, tag in alice.frames[1:]]
    assert {Named if kept else Relay} == {type(tag) for tag in tags}
    packets = sent(alice)[1:]
    assert delivered == tuple(r for packet in packets for r in packet.delivered)
    assert void == tuple(r for packet in packets for r in packet.void)
    assert {(LAPTOP_ORDINAL, DURABLE | 1, EPOCH)} == {
        (packet.ordinal, packet.incarnation, packet.store_epoch) for packet in packets
    }
    if not kept:
        assert delivered == tuple(r for tag in tags for r in tag.delivered)


def test_stored_is_the_servers_own_word_and_a_memory_store_has_none():
    answers, alice, _ = setup()
    answers.stored(alice, LAPTOP, STREAM, holes(RANGES_A_PACKET + 1))
    packets = [packet for packet in sent(alice) if isinstance(packet, AckN)]
    assert [RANGES_A_PACKET, 1] == [len(packet.stored) for packet in packets]
    assert {(LAPTOP_ORDINAL, 0)} == {(packet.ordinal, packet.incarnation) for packet in packets}
    answers, alice, _ = setup(durable=False)
    answers.stored(alice, LAPTOP, STREAM, [(1, 1)])
    assert [] == sent(alice)


@pytest.mark.parametrize("asked", [[(1, 500)], [(10 * n + 1, 10 * n + 9) for n in range(48)]])
def test_a_status_repeats_every_question_once_with_all_that_is_stored(asked):
    answers, alice, _ = setup()
    stored = [r for r in holes(245) if any(a <= r[0] <= b for a, b in asked)]
    answers.status(alice, LONG, 1, asked, stored)
    packets = sent(alice)
    assert {StatusA} == {type(packet) for packet in packets}
    said = [seq for packet in packets for a, b in packet.asked for seq in range(a, b + 1)]
    assert said == [seq for a, b in asked for seq in range(a, b + 1)]
    assert stored == [r for packet in packets for r in packet.stored]
    for packet in packets:
        assert all(any(a <= s <= b for a, b in packet.asked) for s, _ in packet.stored)


def test_nobody_is_told_of_who_does_not_belong():
    answers, alice, _ = setup()
    nobody = Relay(STREAM, CAROL, 1, ((1, 1),), ())
    answers.verdicts(alice, nobody, kept=False)
    answers.stored(alice, CAROL, STREAM, [(1, 1)])
    answers.read(alice, ReadRelay(STREAM, CAROL, 1, 1))
    assert [] == alice.frames


def group(name="#g"):
    """Answers of a server where alice, bob and carol are in a group; alice's session; all of it."""
    s = Server(known={"dave"})
    alice = s.login(ALICE)
    s.login(PHONE), s.login(CAROL)
    s.group("alice", "bob", "carol", name=name)
    return s.router.answers, alice, s


def test_a_change_without_lines_needs_no_packet():
    answers, alice, s = group()
    answers.members(alice, GROUP)
    s.hop_acks(alice)
    before = s.router.conversations.number(GROUP)
    s.group("dave")
    assert s.router.conversations.number(GROUP) > before
    answers.members(alice, GROUP)
    assert [] == alice.frames
    s.login(PHONE._replace(user="dave"))
    answers.members(alice, GROUP)
    (packet,) = s.hop_acks(alice)
    assert ["dave"] == [line.user for line in packet.members]


def test_receipts_of_a_group_are_collected():
    answers, alice, s = group()
    phone, carol = s.router.sessions[PHONE], s.router.sessions[CAROL]
    for session in (phone, carol):
        session.inbound.resolve(9, GROUP)
    answers.verdicts(alice, Relay(GROUP, PHONE, DURABLE | 1, ((1, 2),), ((3, 3),)), kept=False)
    answers.stored(alice, CAROL, GROUP, [(1, 3)])
    assert [] == of(Tally, s.hop_acks(alice))
    assert [(DELIVERED, 1, (1, 2)), (VOID, 1, (3, 3)), (STORED, 2, (1, 3))] == s.tallied(alice)
    assert [((1, 3),)] == [ack.ranges for ack in of(AckA, s.hop_acks(phone))]


def test_what_stands_in_a_row_has_been_acknowledged():
    answers, alice, s = group()
    phone = s.router.sessions[PHONE]
    phone.inbound.resolve(9, GROUP)
    answers.verdicts(alice, Relay(GROUP, PHONE, DURABLE | 1, ((1, 1),), ()), kept=True)
    assert [(DELIVERED, 1, (1, 1))] == s.tallied(alice)
    assert [] == of(AckA, s.hop_acks(phone))


def test_a_tally_holds_as_of_the_last_change():
    answers, alice, s = group()
    answers.stored(alice, PHONE, GROUP, [(1, 1)])
    number = s.router.conversations.number(GROUP)
    for now in (0.0, 9.0):
        answers.send_tallies(now)
    (packet,) = of(Tally, s.hop_acks(alice))
    assert (number, EPOCH) == (packet.as_of, packet.store_epoch)


def long_round():
    """Verdicts of one device that need several tallies, all of them sent; returns their tags."""
    answers, alice, s = group()
    phone = s.router.sessions[PHONE]
    phone.inbound.resolve(9, GROUP)
    ranges = tuple(holes(700))
    answers.verdicts(alice, Relay(GROUP, PHONE, DURABLE | 1, ranges, ()), kept=False)
    for now in (0.0, 9.0):
        answers.send_tallies(now)
    tags = [tag for packet, tag in alice.frames if isinstance(packet, Tally)]
    alice.frames.clear()
    return s, alice, phone, ranges, tags


def test_a_round_is_acknowledged_once_all_its_packets_are_acked():
    s, alice, phone, ranges, tags = long_round()
    assert len(tags) > 2
    for tag in tags[:-1]:
        s.router.on_acked(alice, tag)
    assert [] == of(AckA, s.hop_acks(phone))
    s.router.on_acked(alice, tags[-1])
    said = [part for ack in of(AckA, s.hop_acks(phone)) for part in ack.ranges]
    assert list(ranges) == said


def test_receipts_of_a_round_that_got_lost_with_the_session_are_kept_once():
    s, alice, phone, ranges, tags = long_round()
    s.logout(alice, *tags)
    assert list(ranges) == list(s.router.receipts.find(GROUP, PHONE).delivered)
    said = [part for ack in of(AckA, s.hop_acks(phone)) for part in ack.ranges]
    assert list(ranges) == said


def test_what_was_collected_for_a_sender_that_goes_is_kept():
    answers, alice, s = group()
    answers.verdicts(alice, Relay(GROUP, PHONE, DURABLE | 1, ((1, 1),), ()), kept=False)
    s.logout(alice)
    assert [(1, 1)] == list(s.router.receipts.find(GROUP, PHONE).delivered)


def test_a_new_incarnation_elsewhere_forgets_nothing():
    answers, alice, s = group()
    answers.verdicts(alice, Relay(GROUP, PHONE, DURABLE | 1, ((1, 1),), ()), kept=True)
    answers.renewed(LAPTOP)
    assert [(DELIVERED, 1, (1, 1))] == s.tallied(alice)
