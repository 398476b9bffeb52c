"""The rate limit: what it lets pass, who waits, and who finds no room."""

import pytest

from udpim.testing.faults.bottleneck import BUCKET_BYTES, HEADERS_BYTES, Bottleneck

RATE = 80_000  # 10 000 bytes a second
SIZE = 1000 - HEADERS_BYTES


def test_after_a_rest_as_much_as_the_bucket_holds_passes_at_once():
    bottleneck = Bottleneck(RATE, 25)
    assert 5.0 == bottleneck.leaves_at(SIZE, 5.0)
    assert pytest.approx(5.0 + (2000 - BUCKET_BYTES) / 10_000) == bottleneck.leaves_at(SIZE, 5.0)


def test_a_backlog_leaves_in_order_and_at_the_rate():
    bottleneck = Bottleneck(RATE, 1000)
    leaving = [bottleneck.leaves_at(SIZE, 0.0) for _ in range(101)]
    assert leaving == sorted(leaving)
    assert pytest.approx(0.1) == leaving[-1] - leaving[-2]
    assert pytest.approx(10.1 - BUCKET_BYTES / 10_000) == leaving[-1]


def test_who_finds_the_queue_full_is_dropped_and_takes_no_room():
    bottleneck = Bottleneck(RATE, 3)
    leaving = [bottleneck.leaves_at(SIZE, 0.0) for _ in range(10)]
    assert 4 == len([at for at in leaving if at is not None])
    assert leaving[4:] == [None] * 6
    assert bottleneck.leaves_at(SIZE, leaving[1]) == pytest.approx(leaving[3] + 0.1)
    assert bottleneck.leaves_at(SIZE, leaving[1]) is None


def test_the_bucket_never_holds_more_than_it_can():
    bottleneck = Bottleneck(RATE, 25)
    bottleneck.leaves_at(SIZE, 0.0)
    assert 1000.0 == bottleneck.leaves_at(SIZE, 1000.0)
    assert bottleneck.leaves_at(SIZE, 1000.0) > 1000.0
