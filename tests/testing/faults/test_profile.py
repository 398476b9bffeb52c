"""A profile is built by words, never changed, and refused where it is wrong."""

import pytest

from udpim.errors import ConfigError
from udpim.testing import Loss, Profile


def test_every_word_sets_its_fields_and_leaves_the_others():
    profile = (
        Loss.burst(0.1, mean_burst=3)
        .outage(0.02, mean="9s", shape="exponential")
        .delay("40ms", jitter="10ms")
        .rate("1Mbit", queue=30)
        .duplicate(0.03)
        .duplicate_late(0.01, after="5min")
        .reorder(0.2, by="100ms")
        .corrupt(0.04)
        .truncate(0.05)
        .mtu(1280)
    )
    expected = Profile(
        loss_ratio=0.1,
        loss_burst_packets=3,
        outage_ratio=0.02,
        outage_mean_s=9.0,
        outage_shape="exponential",
        delay_s=0.04,
        jitter_s=0.01,
        rate_bits_per_s=1e6,
        queue_packets=30,
        duplicate_ratio=0.03,
        duplicate_late_ratio=0.01,
        duplicate_late_s=300.0,
        reorder_ratio=0.2,
        reorder_s=0.1,
        corrupt_ratio=0.04,
        truncate_ratio=0.05,
        mtu_bytes=1280,
    )
    assert expected == profile
    assert Profile(delay_s=0.04) == profile.healed()


def test_words_may_be_given_for_fields_too():
    assert Profile(delay_s=0.04, rate_bits_per_s=2e6) == Profile(
        delay_s="40ms", rate_bits_per_s="2Mbit"
    )


def test_profiles_begin_with_a_loss():
    assert Profile() == Loss.none()
    assert Profile(loss_ratio=0.3) == Loss.uniform(0.3) == Loss.none().loss(0.3)
    bursts = Profile(loss_ratio=0.3, loss_burst_packets=4)
    assert bursts == Loss.gilbert_elliott(rate=0.3, burst=4) == Loss.burst(0.3, mean_burst=4)
    assert bursts == Loss.none().loss(0.3, mean_burst=4)
    assert Profile(outage_ratio=0.1, outage_mean_s=3.0) == Loss.outage(0.1, mean="3s")


def test_a_word_changes_nothing_that_others_hold():
    base = Loss.uniform(0.3)
    base.delay("1s")
    assert Profile(loss_ratio=0.3) == base


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("loss_ratio", {"loss_ratio": 1.5}),
        ("loss_ratio", {"loss_ratio": 0.9, "loss_burst_packets": 2}),
        ("loss_burst_packets", {"loss_burst_packets": 0.5}),
        ("loss_burst_packets", {"loss_burst_packets": True}),
        ("outage_ratio", {"outage_ratio": -0.1}),
        ("outage_mean_s", {"outage_mean_s": 0}),
        ("outage_shape", {"outage_shape": "normal"}),
        ("corrupt_ratio", {"corrupt_ratio": "much"}),
        ("truncate_ratio", {"truncate_ratio": None}),
        ("duplicate_ratio", {"duplicate_ratio": 2}),
        ("duplicate_late_ratio", {"duplicate_late_ratio": 2}),
        ("duplicate_late_s", {"duplicate_late_s": "later"}),
        ("reorder_ratio", {"reorder_ratio": 2}),
        ("reorder_s", {"reorder_s": -1}),
        ("delay_s", {"delay_s": "40"}),
        ("jitter_s", {"jitter_s": None}),
        ("rate_bits_per_s", {"rate_bits_per_s": "fast"}),
        ("queue_packets", {"queue_packets": 0}),
        ("mtu_bytes", {"mtu_bytes": 20}),
    ],
)
def test_a_wrong_value_is_told_by_its_field(field, wrong):
    with pytest.raises(ConfigError, match=f"^{field}: .* allowed "):
        Profile(**wrong)


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("delay_s", lambda: Loss.none().delay("soon")),
        ("jitter_s", lambda: Loss.none().delay("1s", jitter="some")),
        ("rate_bits_per_s", lambda: Loss.none().rate("slow")),
        ("reorder_s", lambda: Loss.none().reorder(0.1, by="much")),
        ("duplicate_late_s", lambda: Loss.none().duplicate_late(0.1, after="long")),
        ("outage_mean_s", lambda: Loss.outage(0.1, mean="long")),
    ],
)
def test_a_wrong_word_is_told_by_its_field(field, build):
    with pytest.raises(ConfigError, match=f"^{field}: "):
        build()
