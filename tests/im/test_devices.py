"""The register: ordinals, epochs, incarnations, and who is due what (R2, R7)."""

import pytest

from tests.im.helpers import INC, LAPTOP, PHONE, STREAM
from udpim.config import RETIRED_INCARNATIONS_MAX
from udpim.im.devices import Registry, base_for, epoch_at, epochs_known
from udpim.im.records import DeviceRecord
from udpim.model import Endpoint
from udpim.wire.im_packets import EpochRun

RUNS = (EpochRun(3, 1), EpochRun(7, 2), EpochRun(9, 4))


def registry(*logins):
    r = Registry(())
    for endpoint, incarnation, count in logins:
        r.put(r.logged_in(endpoint, incarnation, count))
    return r


def test_devices_join_in_order_and_each_is_an_epoch():
    r = registry((PHONE, 1, 1), (LAPTOP, 2, 1), (PHONE, 1, 2))
    assert 2 == r.epoch("bob")
    assert [(0, 1), (1, 2)] == [(x.ordinal, x.joined) for x in r.devices("bob").values()]
    assert (0, {}, None) == (r.epoch("zoe"), r.devices("zoe"), r.get(Endpoint("zoe", "x")))


def test_every_change_has_a_number_that_rises_over_the_whole_store():
    alice = Endpoint("alice", "a")
    r = registry((PHONE, 1, 1), (alice, 1, 1), (PHONE, 2, 1), (LAPTOP, 1, 1), (LAPTOP, 1, 2))
    assert (4, 4, 4) == (r.changes, r.epoch("bob"), r.number("bob"))
    assert [(1, 3), (4, 4)] == [(x.joined, x.renewed) for x in r.devices("bob").values()]
    assert (2, 2) == (r.epoch("alice"), r.number("alice"))
    assert 0 == r.number("zoe")


def test_a_new_incarnation_changes_the_lines_and_not_the_epoch():
    r = registry((PHONE, 1, 1), (PHONE, 2, 1))
    assert (1, 2) == (r.epoch("bob"), r.number("bob"))


def test_nobody_is_told_of_a_login_before_it_is_durable_but_it_holds_its_place():
    r = Registry(())
    first, second = r.logged_in(PHONE, 1, 1), r.logged_in(LAPTOP, 1, 1)
    assert 0 == r.epoch("bob")
    assert [(0, 1), (1, 2)] == [(x.ordinal, x.joined) for x in (first, second)]
    assert first._replace(login_count=2) == r.logged_in(PHONE, 1, 2)
    assert r.is_stale(PHONE, 1, 2)
    r.put(first)
    assert 1 == r.epoch("bob")
    assert 2 == r.latest("bob")["phone"].login_count


def test_a_login_that_did_not_happen_gives_its_number_and_its_place_back():
    r = Registry(())
    r.undo(r.logged_in(PHONE, 1, 1))
    r.put(r.logged_in(LAPTOP, 1, 1))
    assert 0 == r.latest_count("zoe")
    again = r.logged_in(PHONE, 1, 2)
    assert (3, 3) == (again.joined, again.renewed), "or it would be due what was sent before"
    r.put(again)
    assert 3 == r.epoch("bob")
    r.undo(r.logged_in(PHONE, 9, 1))
    assert 1 == r.latest("bob")["phone"].incarnation
    first, _second = r.logged_in(PHONE, 1, 5), r.logged_in(PHONE, 1, 6)
    r.undo(first)
    assert r.is_stale(PHONE, 1, 6), "the second one is still on its way"


@pytest.mark.parametrize(
    ("incarnation", "count", "stale"), [(2, 6, False), (2, 5, True), (1, 9, True), (3, 1, False)]
)
def test_a_restored_store_is_told_by_its_incarnation_or_its_count(incarnation, count, stale):
    r = registry((PHONE, 1, 5), (PHONE, 2, 5))
    assert stale == r.is_stale(PHONE, incarnation, count)
    assert not r.is_stale(LAPTOP, incarnation, count)


def test_older_incarnations_are_remembered_up_to_a_limit():
    r = registry(*((PHONE, n, 1) for n in range(1, RETIRED_INCARNATIONS_MAX + 3)))
    record = r.get(PHONE)
    assert RETIRED_INCARNATIONS_MAX == len(record.retired)
    assert 2 == record.retired[0]
    assert record == Registry((record,)).get(PHONE)


def test_a_stream_exists_only_for_an_incarnation_that_logged_in():
    alice = Endpoint("alice", "a")
    r = registry((alice, INC, 1), (alice, INC + 1, 1))
    assert r.is_sender(STREAM)
    assert r.is_sender(STREAM._replace(incarnation=INC + 1))
    assert not r.is_sender(STREAM._replace(incarnation=INC + 2))
    assert not r.is_sender(STREAM._replace(device="b"))


@pytest.mark.parametrize(
    ("floor", "joined", "base"),
    [(1, 1, 3), (5, 1, 5), (5, 2, 7), (5, 3, 9), (5, 4, 9), (5, 5, None), (20, 2, 20)],
)
def test_base_is_the_first_seq_from_floor_on_that_is_due(floor, joined, base):
    assert base == base_for(RUNS, floor, joined)


def test_epochs_are_known_when_all_of_a_run_carries_one_that_exists():
    assert [0, 1, 1, 2, 4] == [epoch_at(RUNS, seq) for seq in (2, 3, 6, 8, 99)]
    assert epochs_known(RUNS, 3, 8, 2)
    assert not epochs_known(RUNS, 3, 9, 2)
    assert not epochs_known(RUNS, 2, 3, 9)


def test_a_restored_register_goes_on():
    record = DeviceRecord("bob", "phone", 0, 1, 1, (), 4)
    r = Registry((record,))
    assert 1 == r.epoch("bob")
    assert 1 == r.logged_in(LAPTOP, 1, 1).ordinal
