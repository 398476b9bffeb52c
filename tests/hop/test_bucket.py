"""The token bucket."""

from udpim.hop.bucket import TokenBucket


def test_a_burst_is_allowed_and_then_only_the_rate():
    bucket = TokenBucket(per_s=10.0, burst=3)
    assert [bucket.take(5.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(5.125), bucket.take(5.125)] == [True, False]


def test_a_long_rest_saves_up_no_more_than_the_burst():
    bucket = TokenBucket(per_s=10.0, burst=3)
    assert [bucket.take(1e6) for _ in range(4)] == [True, True, True, False]


def test_what_costs_more_than_the_burst_is_done_and_paid_for_afterwards():
    bucket = TokenBucket(per_s=10.0, burst=3)
    assert bucket.take(0.0, 23)
    assert not bucket.ready(2.0), "the debt of 20 is paid, and nothing is left"
    assert not bucket.take(2.0)
    assert bucket.take(2.125)


def test_looking_takes_nothing():
    bucket = TokenBucket(per_s=10.0, burst=1)
    assert [bucket.ready(0.0) for _ in range(3)] == [True] * 3
    assert bucket.take(0.0)


def test_a_bucket_is_full_again_once_all_that_was_taken_has_come_back():
    bucket = TokenBucket(per_s=10.0, burst=3)
    assert bucket.is_full(0.0)
    bucket.take(0.0, 2)
    assert [False, True] == [bucket.is_full(0.125), bucket.is_full(0.25)]
