"""A lease is over when it has not changed for its time, by the observer's clock alone."""

from udpim.cluster.directory import Lease
from udpim.cluster.election import Election

LEASE = Lease("a", 1, 0)


def election(lease=LEASE, now=100.0):
    rival = Election(3.0)
    rival.saw(lease, now)
    return rival


def test_nobody_claims_before_a_look():
    assert not Election(3.0).may_claim(1e9, dead=False)
    assert Election(3.0).home is None


def test_an_empty_directory_is_free_at_once():
    assert election(None).may_claim(100.0, dead=False)
    assert election(None).home is None


def test_a_lease_that_was_given_back_is_free_at_once():
    given_back = election(LEASE._replace(node=""))
    assert given_back.may_claim(100.0, dead=False)
    assert given_back.home is None


def test_a_lease_without_renewal_runs_out():
    rival = election()
    assert rival.home == rival.seen == LEASE
    rival.saw(LEASE, 102.0)
    assert not rival.may_claim(102.9, dead=False)
    assert rival.may_claim(103.0, dead=False)


def test_a_renewal_starts_the_time_anew():
    rival = election()
    rival.saw(LEASE._replace(beats=1), 102.0)
    assert not rival.may_claim(104.9, dead=False)
    assert rival.may_claim(105.0, dead=False)


def test_the_lease_of_a_dead_process_is_free_at_once():
    assert election().may_claim(100.0, dead=True)


def test_an_observer_that_slept_looks_again_before_it_claims():
    rival = election()
    rival.saw(LEASE._replace(beats=7), 1000.0)
    assert not rival.may_claim(1000.0, dead=False)
