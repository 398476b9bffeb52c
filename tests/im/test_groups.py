"""The server's groups: users, and a line with an ordinal for each of their devices."""

import pytest

from tests.im.helpers import ALICE, CAROL, DURABLE, LAPTOP, PHONE, Server
from udpim.im import groups as groups_
from udpim.im.devices import Registry
from udpim.im.groups import Groups
from udpim.im.records import DropMember, GroupRecord, MemberRecord, PutGroup, PutMember
from udpim.model import Endpoint


def registered(*endpoints):
    registry = Registry(())
    for endpoint in endpoints:
        registry.put(registry.logged_in(endpoint, DURABLE | 1, 1))
    return registry, Groups((), (), registry)


def ordinals(groups, name="#g"):
    return {str(endpoint): line.ordinal for endpoint, line in groups.get(name).lines.items()}


def test_a_join_brings_every_device_under_one_epoch():
    registry, groups = registered(ALICE, PHONE, LAPTOP)
    groups.apply(groups.join("#g", "bob"))
    ops = groups.join("#g", "alice")
    assert [
        PutGroup(GroupRecord("#g", "bob", 5, 3)),
        PutMember(MemberRecord("#g", "alice", "", 0, 5)),
        PutMember(MemberRecord("#g", "alice", "a", 2, 5)),
    ] == ops
    groups.apply(ops)
    assert {"bob/phone": 0, "bob/laptop": 1, "alice/a": 2} == ordinals(groups)
    members = groups.get("#g").members(registry)
    assert [(4, 4), (4, 4), (5, 5)] == [(line.joined, line.renewed) for line in members]
    assert {"groups": 1, "group_lines": 3} == groups.sizes()
    assert ["#g"] == list(groups.of_user("bob"))
    assert [] == list(groups.of_user("zoe"))


def test_a_change_counts_at_once_and_is_seen_once_it_is_durable():
    _, groups = registered(ALICE, PHONE)
    first = groups.join("#g", "alice")
    assert groups.get("#g") is None
    assert (True, True, "alice", 1) == (
        groups.is_known("#g"),
        groups.exists("#g"),
        groups.owner("#g"),
        groups.count(),
    )
    second = groups.join("#g", "bob")
    groups.apply(first)
    assert {"alice/a": 0} == ordinals(groups)
    assert {"alice": None, "bob": None} == groups.latest_users("#g")
    assert {"#g": None} == groups.latest_of_user("bob")
    groups.apply(second)
    assert {"alice/a": 0, "bob/phone": 1} == ordinals(groups)


def test_what_did_not_happen_does_not_count_and_what_is_on_its_way_does():
    r, groups = registered(ALICE, PHONE, LAPTOP)
    groups.apply(groups.join("#g", "alice"))
    first, second = groups.join("#g", "bob"), groups.leave("#g", "bob")
    other = groups.join("#h", "bob")
    groups.undo(first)
    assert (["alice"], ["bob"]) == (
        list(groups.latest_users("#g")),
        list(groups.latest_users("#h")),
    )
    assert ["#h"] == list(groups.latest_of_user("bob"))
    assert [] == groups.apply(second), "there is nothing to take away"
    groups.apply(other)
    groups.undo(groups.leave("#h", "bob"))
    assert ["bob"] == list(groups.latest_users("#h"))
    lines = groups.get("#h").lines
    groups.undo(groups.device_leaves(LAPTOP, r.next_change()))
    groups.undo(groups.device_joins(PHONE, r.next_change()))
    assert [PHONE, LAPTOP] == list(lines)


def test_nobody_knows_a_group_that_never_was():
    _, groups = registered()
    assert (False, False, "", {}, {}) == (
        groups.is_known("#g"),
        groups.exists("#g"),
        groups.owner("#g"),
        groups.latest_users("#g"),
        groups.latest_of_user("bob"),
    )
    assert groups.has_room("#g", "bob")


def test_ordinals_and_epochs_never_return_even_when_everybody_has_left():
    registry, groups = registered(ALICE, PHONE)
    groups.apply(groups.join("#g", "alice"))
    before = groups.get("#g").record.epoch
    assert [ALICE] == groups.apply(groups.leave("#g", "alice"))
    assert (False, True) == (groups.exists("#g"), groups.is_known("#g"))
    assert [] == list(groups.of_user("alice"))
    groups.apply(groups.join("#g", "bob"))
    assert {"bob/phone": 1} == ordinals(groups)
    assert before < groups.get("#g").record.epoch == registry.changes
    assert "bob" == groups.owner("#g"), "who finds it empty owns it"


def test_a_leave_ends_the_lines_of_all_devices_and_is_remembered():
    registry, groups = registered(ALICE, PHONE, LAPTOP)
    groups.apply(groups.join("#g", "bob"))
    ops = groups.leave("#g", "bob")
    assert [DropMember("#g", "bob", name) for name in ("", "phone", "laptop")] == ops[1:]
    assert [PHONE, LAPTOP] == groups.apply(ops)
    group = groups.get("#g")
    assert () == group.members(registry)
    assert [(PHONE, 5), (LAPTOP, 5)] == [(line.endpoint, line.left) for line in group.left]
    assert [] == groups.apply(ops), "twice changes nothing"
    group.leave(PHONE, 9, registry)
    assert 2 == len(group.left)


def test_what_is_remembered_of_leavers_is_limited(monkeypatch):
    _registry, groups = registered(ALICE, PHONE, LAPTOP)
    monkeypatch.setattr(groups_, "LEFT_LINES_MAX", 1)
    groups.apply(groups.join("#g", "alice"))
    groups.apply(groups.join("#g", "bob"))
    group = groups.get("#g")
    assert 0 == group.left_from
    left = groups.leave("#g", "alice")
    groups.apply(left)
    groups.apply(groups.leave("#g", "bob"))
    assert left[0].record.epoch <= group.left_from < group.record.epoch + 1
    assert [LAPTOP] == [line.endpoint for line in group.left]


def test_a_new_device_joins_its_users_groups_and_a_retired_one_leaves_them():
    registry, groups = registered(ALICE, PHONE)
    for name in ("#g", "#h"):
        groups.apply(groups.join(name, "bob"))
    record = registry.logged_in(LAPTOP, DURABLE | 1, 1)
    joins = groups.device_joins(LAPTOP, record.joined)
    registry.put(record)
    assert [] == groups.apply(joins)
    assert {"bob/phone": 0, "bob/laptop": 1} == ordinals(groups) == ordinals(groups, "#h")
    assert record.joined == groups.get("#g").record.epoch
    gone = registry.retire(PHONE)
    leaves = groups.device_leaves(PHONE, gone.left)
    assert [PHONE, PHONE] == groups.apply(leaves)
    assert {"bob/laptop": 1} == ordinals(groups)
    assert {"bob"} == groups.get("#g").users.keys()
    assert [] == groups.device_joins(ALICE, 9) == groups.device_leaves(ALICE, 9)


def test_a_retired_device_joins_nothing():
    registry, groups = registered(PHONE, LAPTOP)
    registry.put(registry.retire(LAPTOP))
    groups.apply(groups.join("#g", "bob"))
    assert {"bob/phone": 0} == ordinals(groups)


def test_a_new_incarnation_is_the_same_line():
    registry, groups = registered(ALICE, PHONE)
    groups.apply(groups.join("#g", "bob"))
    group = groups.get("#g")
    before = group.number
    registry.put(registry.logged_in(PHONE, DURABLE | 2, 1))
    groups.renewed("bob")
    (line,) = group.members(registry)
    assert (0, DURABLE | 2, before + 1) == (line.ordinal, line.incarnation, line.renewed)
    assert (before + 1, before) == (group.number, group.record.epoch)
    assert line is group.member(registry, PHONE)
    assert group.member(registry, ALICE) is None


@pytest.mark.parametrize("most", ["ORDINALS_MAX", "GROUP_LINES_MAX"])
def test_lines_are_limited(most, monkeypatch):
    registry, groups = registered(ALICE, PHONE, LAPTOP, CAROL)
    monkeypatch.setattr(groups_, most, 3)
    groups.apply(groups.join("#g", "bob"))
    assert groups.has_room("#g", "alice")
    groups.apply(groups.join("#g", "alice"))
    assert not groups.has_room("#g", "carol")
    assert groups.has_room("#h", "carol")
    watch = Endpoint("bob", "watch")
    record = registry.logged_in(watch, DURABLE | 1, 1)
    assert [] == groups.device_joins(watch, record.joined), "it gets what is sent to bob alone"


def test_whoever_leaves_makes_room_for_another_line(monkeypatch):
    registry, groups = registered(ALICE, PHONE, LAPTOP, CAROL)
    monkeypatch.setattr(groups_, "GROUP_LINES_MAX", 2)
    groups.apply(groups.join("#g", "bob"))
    assert not groups.has_room("#g", "alice")
    groups.apply(groups.device_leaves(PHONE, registry.retire(PHONE).left))
    assert groups.has_room("#g", "alice")
    groups.apply(groups.leave("#g", "bob"))
    groups.apply(groups.join("#g", "alice"))
    assert groups.has_room("#g", "carol")


def test_groups_survive_their_records():
    s = Server()
    for endpoint in (ALICE, PHONE, LAPTOP):
        s.login(endpoint)
    s.group("alice", "bob")
    s.group("alice", name="#h")
    s.leave("alice", "#h")
    before = s.router.groups
    again = s.restart().router.groups
    assert ordinals(before) == ordinals(again)
    assert (2, {"alice": None, "bob": None}) == (again.count(), again.latest_users("#g"))
    assert {"#g": None} == again.latest_of_user("alice")
    assert ["#g"] == list(again.of_user("alice"))
    assert before.get("#h").record == again.get("#h").record
    assert s.router.registry.changes == s.restart().router.registry.changes


def test_a_store_that_lost_the_highest_number_takes_it_from_its_groups():
    registry = Registry(())
    Groups((GroupRecord("#g", "bob", 41, 0),), (), registry)
    assert 42 == registry.next_change()
