"""Receipts of a group, collected into few packets (semantics §4)."""

import itertools

import pytest

from tests.im.helpers import ALICE, GROUP, INC, PHONE
from udpim.im.session import Relay, Session
from udpim.im.tally import (
    AT_S,
    DELIVERED,
    GAP_S_MIN,
    INTERVAL_S_MAX,
    RANGES_AN_ENTRY,
    STORED,
    VOID,
    Pending,
    Tallies,
    entries_of,
    packets_of,
)
from udpim.wire.im_codec import decode, encode
from udpim.wire.im_packets import FRAME_BODY_BYTES_MAX, TallyEntry
from udpim.wire.im_schema import ORDINAL_BYTES_MAX, TALLY_ENTRIES_MAX

ONE = ((1, 1),)
RELAY = Relay(GROUP, PHONE, 9, ONE, ())


def session():
    return Session(ALICE, INC, lambda: 0.0, {})


def flushed(tallies, now):
    """What is due, told at once: by verdict the ordinals."""
    out = []
    for _, _, pending in tallies.flush(now):
        out.append({v: sorted(by) for v, by in pending.verdicts.items()})
        tallies.sent(pending, now)
    return out


def times(tallies, alice, until_s, *, every_s=0.01, seq=1):
    """When packets leave while somebody answers all the time."""
    left, now, ordinal = [], 0.0, 0
    while now < until_s:
        tallies.add(alice, GROUP, ordinal, DELIVERED, ((seq, seq),))
        ordinal += 1
        if flushed(tallies, now):
            left.append(round(now, 2))
        now += every_s
    return left


# --- When ---


def test_verdicts_wait_for_others():
    tallies, alice = Tallies(), session()
    assert tallies.next_timeout() is None
    tallies.add(alice, GROUP, 0, DELIVERED, ONE)
    assert [] == flushed(tallies, 5.0)
    assert 5.0 + AT_S[0] == tallies.next_timeout()
    tallies.add(alice, GROUP, 1, DELIVERED, ONE)
    tallies.add(alice, GROUP, 2, VOID, ONE)
    assert [{DELIVERED: [0, 1], VOID: [2]}] == flushed(tallies, 5.0 + AT_S[0])
    assert [] == flushed(tallies, 99.0)
    assert tallies.next_timeout() is None


def test_a_message_has_at_most_five_packets_in_its_first_six_seconds():
    left = times(Tallies(), session(), 6.5)
    assert 3 <= len(left) <= 5
    assert left[:2] == pytest.approx(AT_S[:2], abs=0.03)


def test_later_packets_are_further_and_further_apart():
    left = times(Tallies(), session(), 4000.0, every_s=0.5)
    gaps = [b - a for a, b in itertools.pairwise(left)][4:]
    assert all(1.5 < b / a < 2.5 for a, b in itertools.pairwise(gaps) if b < 500)
    assert INTERVAL_S_MAX - 1 < max(gaps) <= INTERVAL_S_MAX + 1
    assert gaps[-1] > INTERVAL_S_MAX - 1, "and never longer than that"


def test_a_later_message_begins_the_schedule_anew():
    tallies, alice = Tallies(), session()
    times(tallies, alice, 100.0, every_s=0.5)
    flushed(tallies, 2000.0)
    for seq, wait_s in ((1, AT_S[-1]), (2, AT_S[0])):
        tallies.add(alice, GROUP, 0, DELIVERED, ((seq, seq),))
        assert [] == flushed(tallies, 2000.0)
        assert (tallies.next_timeout() > 2000.0 + wait_s) == (seq == 1)


def test_what_nobody_waits_for_leaves_at_once():
    tallies, alice = Tallies(), session()
    tallies.add(alice, GROUP, 0, DELIVERED, ONE)
    tallies.hurry(alice, GROUP)
    assert [{DELIVERED: [0]}] == flushed(tallies, 5.0)
    tallies.hurry(alice, GROUP._replace(conversation="#none"))
    assert [] == flushed(tallies, 99.0)


def test_even_then_packets_of_a_stream_keep_their_distance():
    tallies, alice = Tallies(), session()
    for ordinal, count in ((0, 1), (1, 0)):
        tallies.add(alice, GROUP, ordinal, DELIVERED, ONE)
        tallies.hurry(alice, GROUP)
        assert count == len(flushed(tallies, 5.0))
    assert 5.0 + GAP_S_MIN == tallies.next_timeout()
    assert 1 == len(flushed(tallies, 5.0 + GAP_S_MIN))


def test_an_old_message_is_not_hurried():
    tallies, alice = Tallies(), session()
    for step in range(len(AT_S)):
        tallies.add(alice, GROUP, step, DELIVERED, ONE)
        tallies.hurry(alice, GROUP)
        assert 1 == len(flushed(tallies, float(step)))
    tallies.add(alice, GROUP, 9, DELIVERED, ONE)
    tallies.hurry(alice, GROUP)
    assert [] == flushed(tallies, 50.0)
    assert tallies.next_timeout() > 55.0


def test_a_hurry_brings_a_wait_forward_and_nothing_puts_it_off():
    tallies, alice = Tallies(), session()
    tallies.add(alice, GROUP, 0, DELIVERED, ONE)
    flushed(tallies, 5.0)
    tallies.add(alice, GROUP, 1, DELIVERED, ONE)
    flushed(tallies, 5.04)
    assert 5.0 + AT_S[0] == tallies.next_timeout()
    tallies.hurry(alice, GROUP)
    assert [{DELIVERED: [0, 1]}] == flushed(tallies, 5.045)


# --- What ---


def test_a_new_incarnation_takes_back_its_own_verdicts_and_not_what_is_stored():
    tallies, alice = Tallies(), session()
    for verdict in (DELIVERED, VOID, STORED):
        for ordinal in (0, 1):
            tallies.add(alice, GROUP, ordinal, verdict, ONE)
    ((stream, pending),) = tallies.waiting()
    pending.forget(0)
    pending.forget(7)
    assert GROUP == stream
    told = {v: sorted(by) for v, by in pending.verdicts.items()}
    assert {DELIVERED: [1], VOID: [1], STORED: [0, 1]} == told


def test_the_receipts_of_a_sender_that_goes_are_handed_back():
    tallies, alice, other = Tallies(), session(), session()
    for sender in (alice, other):
        tallies.add(sender, GROUP, 0, DELIVERED, ONE)
        tallies.relay(sender, RELAY)
    flushed(tallies, 5.0)
    tallies.add(alice, GROUP._replace(conversation="#h"), 0, STORED, ONE)
    assert [RELAY] == tallies.session_closed(alice)
    assert [] == tallies.session_closed(alice)
    assert 1 == len(flushed(tallies, 9.0)), "the other one's leave"


def test_ordinals_that_say_the_same_share_an_entry():
    pending = Pending()
    tallies, alice = Tallies(), session()
    for ordinal in (3, 4, 70):
        tallies.add(alice, GROUP, ordinal, DELIVERED, ((1, 2),))
    tallies.add(alice, GROUP, 5, DELIVERED, ((1, 1),))
    tallies.add(alice, GROUP, 4, VOID, ((8, 8),))
    tallies.add(alice, GROUP, 4, VOID, ((9, 9),))
    ((_, pending),) = tallies.waiting()
    assert [
        TallyEntry(DELIVERED, ((1, 2),), 3, 1 | 1 << 1 | 1 << 67),
        TallyEntry(DELIVERED, ((1, 1),), 5, 1),
        TallyEntry(VOID, ((8, 9),), 4, 1),
    ] == entries_of(pending)


def test_ordinals_far_apart_have_entries_of_their_own():
    tallies, alice = Tallies(), session()
    far = 10 + 8 * ORDINAL_BYTES_MAX
    for ordinal in (10, far - 1, far):
        tallies.add(alice, GROUP, ordinal, DELIVERED, ONE)
    ((_, pending),) = tallies.waiting()
    first, second = entries_of(pending)
    assert (10, far, 1) == (first.first, second.first, second.bitmap)
    assert 8 * ORDINAL_BYTES_MAX == first.bitmap.bit_length()


@pytest.mark.parametrize(
    ("ordinals", "ranges"),
    [(range(1000), 1), (range(0, 60_000, 600), 1), (range(40), 60), (range(5), 700), ((), 0)],
)
def test_packets_fit_and_tell_everything_once(ordinals, ranges):
    tallies, alice = Tallies(), session()
    said = set()
    for ordinal in ordinals:
        # Every other ordinal says something of its own.
        parts = [(3 * n + ordinal % 2, 3 * n + ordinal % 2) for n in range(1, ranges + 1)]
        tallies.add(alice, GROUP, ordinal, DELIVERED, parts)
        said |= {(ordinal, seq) for seq, _ in parts}
    pending = tallies.waiting()[0][1] if ordinals else Pending()
    name = GROUP._replace(user="u" * 32, device="d" * 32, conversation="#" * 32)
    packets = packets_of(pending, 1, name, 77, 5)
    told = []
    for packet in packets:
        assert packet == decode(encode(packet))
        assert len(encode(packet)) <= FRAME_BODY_BYTES_MAX
        assert len(packet.entries) <= TALLY_ENTRIES_MAX
        assert (77, 5) == (packet.store_epoch, packet.as_of)
        for entry in packet.entries:
            assert len(entry.ranges) <= RANGES_AN_ENTRY
            for bit in range(entry.bitmap.bit_length()):
                if entry.bitmap >> bit & 1:
                    told += [(entry.first + bit, seq) for seq, _ in entry.ranges]
    assert sorted(said) == sorted(told)


def test_a_thousand_that_say_the_same_need_one_packet():
    tallies, alice = Tallies(), session()
    for ordinal in range(1000):
        tallies.add(alice, GROUP, ordinal, DELIVERED, ((1, 9),))
    ((_, pending),) = tallies.waiting()
    assert 1 == len(packets_of(pending, 1, None, 77, 5))
