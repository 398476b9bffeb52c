"""The token bucket."""

from udpim.hop.bucket import TokenBucket


def test_a_burst_is_allowed_and_then_only_the_rate():
    bucket = TokenBucket(per_s=10.0, burst=3)
    assert [bucket.take(5.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(5.125), bucket.take(5.125)] == [True, False]


def test_a_long_rest_saves_up_no_more_than_the_burst():
    bucket = TokenBucket(per_s=10.0, burst=3)
    assert [bucket.take(1e6) for _ in range(4)] == [True, True, True, False]
