"""What people write is read, and what is wrong is told by the name of its field."""

import math

import pytest

from udpim.errors import ConfigError
from udpim.testing.faults import quantities as q


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("40ms", 0.04), ("2s", 2.0), ("5min", 300.0), ("1.5 h", 5400.0), ("30us", 3e-5), (0.25, 0.25)],
)
def test_durations_are_words_or_seconds(written, seconds):
    assert seconds == pytest.approx(q.duration_s(written, "delay_s"), rel=1e-12)


@pytest.mark.parametrize(("written", "rate"), [("1Mbit", 1e6), ("64kbit", 64e3), (9600, 9600.0)])
def test_rates_are_words_or_bits_a_second(written, rate):
    assert rate == q.rate_bits_per_s(written, "rate_bits_per_s")


@pytest.mark.parametrize("wrong", ["40", "ms", "-1s", "1 week", "4e1s", -0.1, math.nan, math.inf,
                                   1e12, 10**400, True, None, b"1s"])  # fmt: skip
def test_a_wrong_duration_names_its_field_and_what_is_allowed(wrong):
    with pytest.raises(ConfigError, match=r"delay_s: .* allowed are \"40ms\""):
        q.duration_s(wrong, "delay_s")


@pytest.mark.parametrize("wrong", ["30%", "0.3", -0.1, 1.1, math.nan, True, None])
def test_a_wrong_share_names_its_field(wrong):
    with pytest.raises(ConfigError, match=r"loss_ratio: .* from 0 to 1"):
        q.ratio(wrong, "loss_ratio")


@pytest.mark.parametrize("wrong", ["1MB", "1mbit", 0, -5, math.inf, "0bit", True])
def test_a_wrong_rate_names_its_field(wrong):
    with pytest.raises(ConfigError, match=r"rate_bits_per_s: .*Mbit"):
        q.rate_bits_per_s(wrong, "rate_bits_per_s")


@pytest.mark.parametrize("wrong", [0, 11, 1.0, "3", True, None])
def test_a_wrong_whole_number_names_its_field_and_its_bounds(wrong):
    with pytest.raises(ConfigError, match=r"nth: .* 1 to 10"):
        q.whole(wrong, "nth", 1, 10)


@pytest.mark.parametrize("wrong", [0.9, 10.5, "3", True, None])
def test_a_wrong_count_names_its_field_and_its_bounds(wrong):
    with pytest.raises(ConfigError, match=r"burst: .* 1 to 10"):
        q.count(wrong, "burst", 1, 10)


@pytest.mark.parametrize("wrong", ["", " a", "a > b", 7, None])
def test_a_wrong_host_names_its_field(wrong):
    with pytest.raises(ConfigError, match=r"to: .* is no host"):
        q.host(wrong, "to")


def test_hosts_and_users_are_names():
    assert ["server", "alice/phone", "zoë"] == [
        q.host(name, "to") for name in ("server", "alice/phone", "zoë")
    ]
