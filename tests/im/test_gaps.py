"""Questions about gaps that hold messages back (PROTOCOL §5.8)."""

import itertools

from tests.im.helpers import STREAM, Receiver, run_of
from udpim.config import GAP_TICK_S, GAP_TICKS_MAX
from udpim.im.gaps import Gaps
from udpim.im.handles import OutHandles
from udpim.im.in_stream import InStream
from udpim.im.records import InStreamRecord
from udpim.wire.im_packets import AckR


def stream(user, *, waits=True):
    one = InStream(InStreamRecord(STREAM._replace(user=user), 0, 0, 0, 1, ()))
    if waits:
        one.ready[2] = (1, b"two")
    return one


def asked(gaps, now=0.0, room=10):
    out = []
    gaps.transmit(lambda packet, tag: out.append((packet, tag)), OutHandles(), room=room, now=now)
    assert [AckR(n + 1, tag, False, (), ()) for n, (_, tag) in enumerate(out)] == [
        packet for packet, _ in out
    ]
    return [tag.user for _, tag in out]


def tick(gaps):
    """Let the time pass until the next look; returns who is asked about then, and when."""
    now = gaps.next_timeout()
    gaps.handle_timeout(now)
    return asked(gaps, now), now


def test_of_the_streams_that_are_offered_those_that_wait_are_asked_about_once():
    gaps = Gaps()
    gaps.offered([stream("u1"), stream("u2", waits=False), stream("u3")])
    assert ["u1"] == asked(gaps, room=1)
    assert [] == asked(gaps, room=-1)
    assert (["u3"], []) == (asked(gaps), asked(gaps))


def test_a_gap_that_lasts_is_asked_about_ever_more_rarely():
    gaps = Gaps()
    gaps.released(stream("u1"))
    asked(gaps, 0.0)
    times = []
    while len(times) < 10:
        users, now = tick(gaps)
        times += [now] * len(users)
    waits = [b - a for a, b in itertools.pairwise(times)]
    assert 2 * GAP_TICK_S == times[0]
    assert [2 * GAP_TICK_S, 4 * GAP_TICK_S] == waits[:2]
    assert [GAP_TICKS_MAX * GAP_TICK_S] * 2 == waits[-2:]


def test_a_gap_that_moved_on_is_another_one():
    gaps = Gaps()
    one = stream("u1")
    gaps.released(one)
    asked(gaps)
    for first in range(1, 6):
        one.release_next, one.ready = first, {first + 1: (1, b"next")}
        gaps.released(one)
        assert [] == tick(gaps)[0]
    assert ["u1"] == tick(gaps)[0]


def test_a_gap_that_closed_is_not_asked_about_and_nobody_is_woken_for_it():
    gaps = Gaps()
    one = stream("u1")
    gaps.released(one)
    asked(gaps)
    tick(gaps)
    one.ready.clear()
    gaps.released(one)
    assert 0 == len(gaps)
    assert [] == tick(gaps)[0]
    assert gaps.next_timeout() is None


def test_a_timeout_that_comes_early_or_twice_asks_nothing():
    gaps = Gaps()
    gaps.handle_timeout(99.0)
    gaps.released(stream("u1"))
    asked(gaps)
    gaps.handle_timeout(GAP_TICK_S - 1)
    tick(gaps)
    gaps.handle_timeout(GAP_TICK_S)
    assert [] == asked(gaps, GAP_TICK_S)


def test_a_new_session_begins_to_count_anew_and_asks_with_its_offers():
    gaps = Gaps()
    one = stream("u1")
    gaps.released(one)
    asked(gaps)
    tick(gaps)
    gaps.handle_timeout(gaps.next_timeout())
    gaps.session_started()
    assert gaps.next_timeout() is None
    gaps.offered([one])
    assert ["u1"] == asked(gaps, 100.0)
    assert [] == tick(gaps)[0]
    assert ["u1"] == tick(gaps)[0]


def test_an_inbox_asks_about_what_waits_and_no_more_when_it_does_not():
    b = Receiver()
    b.login()
    b.push(run_of(7, 8), floor=2, base=2)
    b.commit()
    b.packets()
    for _ in range(2):
        b.now = b.inbox.next_timeout()
        b.inbox.handle_timeout(b.now)
        asks = b.packets()
    assert [AckR(1, STREAM, False, (), ())] == asks
    assert 1 == b.inbox.sizes()["streams_waiting"]
    b.cancel((1, 6), floor=7, base=7)
    assert [] == b.packets(), "nothing is said of what is below the floor"
    b.commit()
    assert [7, 8] == b.released()
    assert 0 == b.inbox.sizes()["streams_waiting"]
    assert ([], []) == b.receipts()
