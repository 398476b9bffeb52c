"""The oracle fails on nothing, and tells what was violated."""

import pytest

from tests.testing.facts import INBOX, ONE, STREAM, went_well
from udpim.model import MessageState
from udpim.testing.clock import VirtualClock
from udpim.testing.history import History
from udpim.testing.oracle import STORIES_MAX, Oracle, Violated


def test_empty_history_is_a_failure():
    oracle = Oracle(History(VirtualClock()))
    with pytest.raises(Violated, match="no message was accepted") as caught:
        oracle.check()
    assert caught.value.invariants == ["empty"]
    with pytest.raises(Violated, match="no IM packet was sent"):
        oracle.check_settled([])


@pytest.mark.parametrize("missing", ["sends", "commits", "shown", "frames"])
def test_half_a_history_is_a_failure(missing):
    history = went_well()
    getattr(history, missing).clear()
    with pytest.raises(Violated) as caught:
        Oracle(history).check()
    assert caught.value.invariants == ["empty"]


def test_good_history_passes():
    oracle = Oracle(went_well())
    oracle.check()
    oracle.check_settled(["alice/phone", "bob/phone"])
    oracle.check_quiet(since_s=1.0)


def test_violations_are_named_and_told():
    history = went_well()
    history.commits[INBOX, ONE].append(history.tick())
    history.on_shown(ONE, MessageState.PENDING, 1)
    with pytest.raises(Violated, match="was committed 2 times at bob/phone") as caught:
        Oracle(history).check()
    assert caught.value.invariants == ["i2_no_duplicate", "i4_lattice"]


def test_long_list_of_violations_is_cut():
    history = went_well()
    for seq in range(100):
        history.collisions.append(ONE._replace(seq=seq))
    with pytest.raises(Violated, match=f"and {100 - STORIES_MAX} more"):
        Oracle(history).check()


def test_open_message_is_not_settled():
    history = went_well()
    history.on_send(STREAM, 2, [b"two"])
    history.rows[ONE._replace(seq=2)] = (history.tick(), b"two")
    history.on_accepted(ONE._replace(seq=2))
    Oracle(history).check()
    with pytest.raises(Violated, match="is still PENDING"):
        Oracle(history).check_settled(["alice/phone"])
