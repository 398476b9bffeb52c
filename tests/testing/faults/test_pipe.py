"""Each stage of a pipe does what it was told and counts it; a tape does it again without dice."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udpim.testing.choices import Choices
from udpim.testing.faults import Loss, Pipe, Profile

COUNT = 4000
DATA = bytes(range(100))
EVERYTHING = (
    Loss.burst(0.1, mean_burst=3)
    .outage(0.05, mean="1s")
    .corrupt(0.1)
    .truncate(0.1)
    .duplicate(0.2)
    .duplicate_late(0.05, after="1min")
    .rate("100kbit", queue=5)
    .delay("40ms", jitter="10ms")
    .reorder(0.1, by="100ms")
)


class Fixed(Choices):
    """Decides by hand: a number for each label's end, each time."""

    def __init__(self, **decisions):
        tape = {f"a > b: {name}": dict(enumerate(made)) for name, made in decisions.items()}
        super().__init__(0, tape)


def pipe_of(profile, choices=None):
    return Pipe(profile, choices or Choices(7), "a > b")


def offered(pipe, count=COUNT, every_s=0.01):
    return [pipe.offer(DATA, number * every_s) for number in range(count)]


def test_a_plain_pipe_delays_and_decides_nothing():
    choices = Choices(7)
    pipe = pipe_of(Loss.none().delay("40ms"), choices)
    assert [[(0.04, DATA, ())], [(1.04, DATA, ())]] == [pipe.offer(DATA, at) for at in (0.0, 1.0)]
    assert {"offered": 2, "passed": 2} == pipe.counters
    assert {} == choices.tape()


@pytest.mark.parametrize(
    ("profile", "counter", "per_struck"),
    [
        (Loss.uniform(0.25), "lost", -1),
        (Loss.burst(0.25, mean_burst=3), "lost", -1),
        (Loss.outage(0.25, mean="0.1s"), "outage", -1),
        (Profile(corrupt_ratio=0.25), "corrupted", 0),
        (Profile(truncate_ratio=0.25), "truncated", 0),
        (Profile(duplicate_ratio=0.25), "duplicated", 1),
        (Profile(duplicate_late_ratio=0.25), "late", 1),
        (Profile(reorder_ratio=0.25), "reordered", 0),
    ],
)
def test_each_stage_strikes_its_share_and_counts_exactly_that(profile, counter, per_struck):
    pipe = pipe_of(profile)
    arrivals = [one for each in offered(pipe) for one in each]
    struck = pipe.counters[counter]
    assert 0.2 * COUNT < struck < 0.3 * COUNT
    assert COUNT + per_struck * struck == len(arrivals)
    assert {"offered": COUNT, counter: struck, "passed": len(arrivals)} == pipe.counters
    if per_struck >= 0:
        assert struck == len([one for one in arrivals if one.what == (counter,)])


def test_one_bit_is_flipped_where_the_decision_says():
    pipe = pipe_of(Profile(corrupt_ratio=0.1), Fixed(corrupt=[0, 1, 8 * 99 + 8, 801]))
    damaged = [each[0].data for each in offered(pipe, 4)]
    assert DATA == damaged[0]
    assert b"\x01" + DATA[1:] == damaged[1]
    assert DATA[:99] + bytes([99 ^ 128]) == damaged[2]
    assert damaged[1] == damaged[3]  # beyond the end: a tape of a longer datagram
    assert 3 == pipe.counters["corrupted"]


def test_as_many_bytes_are_missing_as_the_decision_says():
    pipe = pipe_of(Profile(truncate_ratio=0.1), Fixed(truncate=[0, 1, 100, 500]))
    assert [DATA, DATA[:99], b"", b""] == [each[0].data for each in offered(pipe, 4)]
    assert 3 == pipe.counters["truncated"]


def test_an_empty_datagram_cannot_be_damaged():
    pipe = pipe_of(Profile(truncate_ratio=0.1, corrupt_ratio=0.1), Fixed(truncate=[1], corrupt=[1]))
    assert [(0.02, b"", ())] == pipe.offer(b"", 0.0)
    assert {"offered": 1, "passed": 1} == pipe.counters


def test_decisions_are_microseconds():
    profile = Profile(
        delay_s=1, duplicate_ratio=0.1, duplicate_late_ratio=0.1, jitter_s=1, reorder_ratio=0.1
    )
    decisions = Fixed(duplicate=[500_001], late=[60_000_001], jitter=[250_000], reorder=[4])
    arrivals = pipe_of(profile, decisions).offer(DATA, 10.0)
    assert [
        (pytest.approx(11.250004), DATA, ("reordered",)),
        (pytest.approx(11.5), DATA, ("duplicated",)),
        (pytest.approx(71.0), DATA, ("late",)),
    ] == arrivals


def test_copies_of_a_damaged_datagram_are_damaged():
    pipe = pipe_of(
        Profile(corrupt_ratio=0.1, duplicate_ratio=0.1), Fixed(corrupt=[1], duplicate=[1])
    )
    one, other = pipe.offer(DATA, 0.0)
    assert (one.data, one.what) == (other.data, ("corrupted",))
    assert ("corrupted", "duplicated") == other.what


def test_what_is_longer_than_the_mtu_vanishes():
    pipe = pipe_of(Loss.none().mtu(128))
    assert 1 == len(pipe.offer(bytes(100), 0.0))
    assert [] == pipe.offer(bytes(101), 0.0)
    assert "too_big" == pipe.stopped
    assert {"offered": 2, "passed": 1, "too_big": 1} == pipe.counters


def test_the_queue_drops_at_its_tail_and_the_rate_delays():
    pipe = pipe_of(Loss.none().delay(0.0).rate(8 * 128 * 10, queue=4))
    arrivals = [pipe.offer(DATA, 0.0) for _ in range(20)]
    passed = 1500 // 128 + 4
    assert [1] * passed + [0] * (20 - passed) == [len(each) for each in arrivals]
    assert "queue_full" == pipe.stopped
    times = [each[0].at for each in arrivals if each]
    assert [0.0] * 11 == times[:11]
    assert [pytest.approx(0.1)] * 3 == [b - a for a, b in pairwise(times[11:])]
    assert {"offered": 20, "passed": passed, "queue_full": 20 - passed} == pipe.counters


def test_what_found_no_room_was_not_reordered_either():
    pipe = pipe_of(Loss.none().rate(8, queue=1).reorder(0.1), Fixed(reorder=[0] * 12 + [5] * 8))
    offered(pipe, 20, every_s=0.0)
    assert 0 == pipe.counters["reordered"]


def test_a_tape_plays_the_same_without_dice_and_in_any_seed():
    first = Choices(7)
    arrived = offered(pipe_of(EVERYTHING, first))
    tape = first.tape()
    assert 8 == len(tape)
    again = Choices(8, tape)
    assert arrived == offered(pipe_of(EVERYTHING, again))
    assert tape == again.tape()


def test_a_fault_that_is_taken_away_shifts_no_other():
    """Without a queue and outages, which it would let the datagram run into."""
    profile = replace(EVERYTHING, rate_bits_per_s=None, outage_ratio=0.0)
    first = Choices(7)
    arrived = offered(pipe_of(profile, first))
    tape = first.tape()
    gone = min(tape["a > b: loss"])
    del tape["a > b: loss"][gone]
    again = offered(pipe_of(profile, Choices(7, tape)))
    assert [gone] == [n for n in range(COUNT) if again[n] != arrived[n]]


def test_another_label_has_another_luck():
    one, other = (Pipe(EVERYTHING, Choices(7), label) for label in ("a > b", "b > a"))
    assert offered(one, 200) != offered(other, 200)


def test_a_profile_may_change_while_it_runs():
    pipe = pipe_of(Loss.uniform(1.0).delay("1s"))
    assert [] == pipe.offer(DATA, 0.0)
    assert "lost" == pipe.stopped
    pipe.profile = pipe.profile.healed()
    assert [(2.0, DATA, ())] == pipe.offer(DATA, 1.0)
    assert "" == pipe.stopped
    pipe.profile = Loss.outage(1.0)
    assert [] == pipe.offer(DATA, 0.0)
    assert Loss.outage(1.0) == pipe.profile
    assert {"offered": 3, "passed": 1, "lost": 1, "outage": 1} == pipe.counters


def test_the_same_profile_again_does_not_end_a_burst():
    def lost(again):
        pipe = pipe_of(Loss.burst(0.3, mean_burst=8))
        seen = []
        for _ in range(500):
            if again:
                pipe.profile = Loss.burst(0.3, mean_burst=8)
            seen.append(pipe.offer(DATA, 0.0))
        return seen

    assert lost(again=True) == lost(again=False)


@given(st.integers(), st.lists(st.tuples(st.binary(max_size=200), st.floats(0, 0.1)), max_size=60))
def test_every_datagram_is_accounted_for(seed, traffic):
    pipe = pipe_of(EVERYTHING.mtu(200), Choices(seed))
    now, arrived = 0.0, 0
    for data, pause_s in traffic:
        now += pause_s
        arrivals = pipe.offer(data, now)
        arrived += len(arrivals)
        assert bool(arrivals) != bool(pipe.stopped)
        assert all(arrival.at >= now + 0.04 for arrival in arrivals)
    c = pipe.counters
    assert (c["offered"], c["passed"]) == (len(traffic), arrived)
    stopped = sum(c[why] for why in ("too_big", "lost", "outage", "queue_full"))
    assert c["offered"] + c["duplicated"] + c["late"] == stopped + c["passed"]
