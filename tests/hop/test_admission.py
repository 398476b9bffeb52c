"""How many handshakes a server begins."""

import pytest

from udpim.hop.admission import ADDRESSES_MAX, Admission, network
from udpim.hop.config import HopConfig

CONFIG = HopConfig(
    hellos_per_s=10.0, hello_burst=5, hellos_per_s_address=2.0, hello_burst_address=3
)


def test_unproven_addresses_share_one_bucket():
    admission = Admission(CONFIG)
    assert 5 == sum(admission.admits_unproven(100.0) for _ in range(50))
    assert 2 == sum(admission.admits_unproven(100.25) for _ in range(50))


def test_each_proven_address_has_its_own():
    admission = Admission(CONFIG)
    for host in ("192.0.2.1", "192.0.2.2"):
        assert 3 == sum(admission.admits(host, 100.0) for _ in range(50))
    assert admission.admits("192.0.2.1", 100.5)


def test_a_flood_of_unproven_ones_takes_nothing_from_who_is_proven():
    admission = Admission(CONFIG)
    for _ in range(50):
        admission.admits_unproven(100.0)
    assert admission.admits("192.0.2.1", 100.0)


def test_the_table_is_bounded_and_forgets_who_was_quiet_longest():
    admission = Admission(CONFIG)
    for _ in range(3):
        admission.admits("192.0.2.1", 100.0)
    for number in range(ADDRESSES_MAX - 1):
        admission.admits(f"10.0.{number // 256}.{number % 256}", 100.0)
    assert not admission.admits("192.0.2.1", 100.0), "it is remembered"
    for number in range(ADDRESSES_MAX):
        admission.admits(f"10.1.{number // 256}.{number % 256}", 100.0)
        assert len(admission) <= ADDRESSES_MAX
    assert admission.admits("192.0.2.1", 100.0), "it was forgotten"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("no:address", "no:address", True),
        ("no:address", "nor:this", False),
    ],
)
def test_hosts_of_one_ipv6_network_count_as_one(one, other, same):
    assert same == (network(one) == network(other))
