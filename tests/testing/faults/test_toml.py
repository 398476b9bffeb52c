"""A fault file says all of it, gives back what was written, and takes nothing unknown."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udpim.errors import ConfigError
from udpim.testing import Drop, Loss, Profile, blackout
from udpim.testing.faults.profile import SHAPES
from udpim.testing.faults.toml import FaultFile, dump, load
from udpim.testing.wiretap import LABELS

WHOLE = """
[link]
loss_ratio = 0.1
loss_burst_packets = 3
delay_s = "40ms"

[link."alice > server"]
delay_s = 0.3

[[drop]]
label = "ack:N"
from = "server"
to = "alice"

[[drop]]
label = "HELLO"
count = 2

[[blackout]]
at_s = "1s"
lasts_s = 3
between = ["alice", "server"]
"""
MEANT = FaultFile(
    link=Loss.burst(0.1, mean_burst=3).delay("40ms"),
    links={("alice", "server"): Profile(delay_s=0.3)},
    drops=(Drop("ack:N", frm="server", to="alice"), Drop("HELLO", count=2)),
    blackouts=(blackout(at="1s", lasts="3s", between=("alice", "server")),),
)


def test_a_file_says_links_directions_drops_and_blackouts(tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text(WHOLE, "utf-8")
    assert MEANT == load(WHOLE) == load(path) == load(dump(MEANT))


def test_an_empty_file_is_a_network_without_faults():
    assert FaultFile() == load("")
    assert "" == dump(FaultFile())


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("unknown key 'links'; allowed are link, drop, blackout", "[links]"),
        (r"\[link\]: unknown key 'loss'; allowed are loss_ratio", "[link]\nloss = 0.1"),
        (r"\[link\]: loss_ratio: 2 ", "[link]\nloss_ratio = 2"),
        (r'\[link."a > b"\]: unknown key \'loss\'', '[link."a > b"]\nloss = 1'),
        (r'\[link."a > b"\]: delay_s: ', '[link."a > b"]\ndelay_s = "x"'),
        (r'\[link."a-b"\]: allowed are directions', '[link."a-b"]'),
        (r'\[link." > b"\]: .* no host', '[link." > b"]'),
        (r"\[link\]: 3 is no table", "link = 3"),
        (r"\[\[drop\]\] 2: unknown key 'frm'", '[[drop]]\nlabel="ACK"\n[[drop]]\nfrm="a"'),
        (r"\[\[drop\]\] 1: label is missing", "[[drop]]\nnth = 2"),
        (r"\[\[drop\]\] 1: nth: 0", '[[drop]]\nlabel = "ACK"\nnth = 0'),
        (r"\[drop\]: is written \[\[drop\]\]", '[drop]\nlabel = "ACK"'),
        (r"\[\[drop\]\]: 3 is no table", "drop = [3]"),
        (r"\[\[drop\]\] 1: label: .* named \[", "[[drop]]\nlabel = []"),
        (r"\[\[blackout\]\] 1: lasts_s is missing", "[[blackout]]\nat_s = 1"),
        (r"\[\[blackout\]\] 1: between: ", '[[blackout]]\nat_s=1\nlasts_s=1\nbetween=["a"]'),
        (r"fault file: .*\(at line 1", "a b"),
    ],
)
def test_what_is_wrong_is_told_by_table_and_key(told, text):
    with pytest.raises(ConfigError, match=told):
        load(text)


def test_a_file_that_cannot_be_read_is_told_by_its_name(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load(tmp_path / "absent.toml")


def test_names_that_no_file_can_hold_are_refused():
    with pytest.raises(ConfigError, match="link: 'a > b' is no host"):
        FaultFile(links={("a > b", "c"): Profile()})


ratios = st.floats(0, 1)
seconds = st.floats(0, 1e6)
hosts = st.text(min_size=1, max_size=8).filter(
    lambda text: text == text.strip() and ">" not in text
)
profiles = st.builds(
    Profile,
    loss_ratio=st.floats(0, 0.5),
    loss_burst_packets=st.none() | st.floats(1, 1000),
    outage_ratio=ratios,
    outage_mean_s=st.floats(math.ulp(0), 1e6),
    outage_shape=st.sampled_from(SHAPES),
    corrupt_ratio=ratios,
    truncate_ratio=ratios,
    duplicate_ratio=ratios,
    duplicate_late_ratio=ratios,
    duplicate_late_s=seconds,
    reorder_ratio=ratios,
    reorder_s=seconds,
    delay_s=seconds,
    jitter_s=seconds,
    rate_bits_per_s=st.none() | st.floats(1, 1e12),
    queue_packets=st.integers(1, 1_000_000),
    mtu_bytes=st.none() | st.integers(68, 65_535),
)
files = st.builds(
    FaultFile,
    link=profiles,
    links=st.dictionaries(st.tuples(hosts, hosts), profiles, max_size=3),
    drops=st.lists(
        st.builds(
            Drop,
            st.sampled_from(LABELS),
            nth=st.integers(1, 1_000_000),
            to=st.none() | hosts,
            frm=st.none() | hosts,
            count=st.integers(1, 1_000_000),
        ),
        max_size=3,
    ).map(tuple),
    blackouts=st.lists(
        st.builds(blackout, at=seconds, lasts=seconds, between=st.none() | st.tuples(hosts, hosts)),
        max_size=3,
    ).map(tuple),
)


@given(files)
def test_what_was_written_is_what_is_read(file):
    assert file == load(dump(file))
