"""Numbers with their units."""

import pytest

from udpim_tools.amounts import amount


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PTO_S_INITIAL", 0.333, "333 ms"),
        ("hello_retry_s_max", 1.0, "1 s"),
        ("STATUS_LEASE_S", 21600.0, "6 h"),
        ("retire_after_s", 7776000.0, "90 d"),
        ("SKEW_MS_MAX", 86_400_000, "1 d"),
        ("grain_ms", 20, "20 ms"),
        ("hello_retry_ratio", 1.5, "1.5"),
        ("resets_per_s", 50.0, "50"),
        ("WINDOW_BYTES", 2 * 2**20, "2 MiB"),
        ("BODY_BYTES_MAX", 1052672, "1052672"),
        ("least_bytes", 0, "0"),
        ("WINDOW", 1024, "1024"),
    ],
)
def test_a_number_is_written_with_its_unit(name, value, words):
    assert words == amount(name, value)
