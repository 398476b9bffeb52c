"""A virtual disk with the product's own SQL in it."""

import sqlite3

import pytest

from udpim.errors import LocalProtocolError
from udpim.im.records import PutMeta, PutQueue, QueueRow, ReadQueue
from udpim.model import Endpoint, StreamId
from udpim.testing import World
from udpim.testing.sqlite_disk import SQLiteDisk
from udpim.testing.storage import VirtualStore

STREAM = StreamId("alice", "phone", 7, "bob")
BOB = Endpoint("bob", "phone")


def test_whole_exchange_runs_on_it(monkeypatch):
    opened = []
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **o: opened.append(a) or connect(*a, **o))
    monkeypatch.setattr(VirtualStore, "new_disk", SQLiteDisk)
    world = World("on SQLite")
    server = world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    sent = alice.send("bob", b"hi")
    world.settle()
    for process in (server, alice, bob):
        process.restart()
    world.settle()
    assert {"DELIVERED": 1} == alice.states(sent)
    assert 3 == len(opened)


def test_a_copy_goes_its_own_way():
    disk = SQLiteDisk()
    disk.client_snapshot()
    disk.apply([PutMeta("a", b"1")])
    copy = disk.copy()
    copy.apply([PutMeta("a", b"2")])
    assert ({"a": b"1"}, {"a": b"2"}) == (disk.client_snapshot().meta, copy.client_snapshot().meta)


def test_a_copy_of_an_empty_disk_is_one():
    assert {} == SQLiteDisk().copy().server_snapshot().meta


def test_a_copy_of_a_servers_disk_is_a_servers():
    disk = SQLiteDisk()
    disk.server_snapshot()
    row = QueueRow(1, False, 0, b"hi")
    disk.apply([PutQueue(BOB, STREAM, 1, 1, (row,))])
    (items,) = disk.copy().read_queue(ReadQueue(BOB, ((STREAM, ((1, 1),)),), 100))
    assert (row,) == items.rows


def test_operations_of_another_kind_of_store_change_nothing():
    disk = SQLiteDisk()
    disk.client_snapshot()
    with pytest.raises(LocalProtocolError):
        disk.apply([PutMeta("a", b"1"), PutQueue(BOB, STREAM, 1, 1, ())])
    assert {} == disk.client_snapshot().meta


def test_a_disk_that_nobody_looked_into_takes_nothing():
    with pytest.raises(LocalProtocolError, match="nobody's"):
        SQLiteDisk().apply([PutMeta("a", b"1")])
