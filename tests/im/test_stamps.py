"""The hybrid clock."""

import pytest

from udpim.config import SKEW_MS_MAX
from udpim.im.stamps import next_stamp

NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("given", "heard", "expected"),
    [
        pytest.param(0, 0, NOW_MS << 16, id="the wall clock"),
        pytest.param((NOW_MS + 5) << 16, 0, ((NOW_MS + 5) << 16) + 1, id="never below its own"),
        pytest.param(0, (NOW_MS + 5) << 16, ((NOW_MS + 5) << 16) + 1, id="after what it heard"),
        pytest.param(0, (NOW_MS - 5) << 16, NOW_MS << 16, id="the past changes nothing"),
    ],
)
def test_a_stamp_is_above_everything_before_it(given, heard, expected):
    assert expected == next_stamp(given, heard, NOW_MS)


@pytest.mark.parametrize("ahead_ms", [SKEW_MS_MAX + 1, 2**47])
def test_an_absurd_stamp_that_was_heard_says_nothing(ahead_ms):
    assert NOW_MS << 16 == next_stamp(0, (NOW_MS + ahead_ms) << 16, NOW_MS)


def test_the_farthest_one_that_is_believed_still_fits():
    assert next_stamp(0, (NOW_MS + SKEW_MS_MAX) << 16 | 0xFFFF, NOW_MS) < 2**64
