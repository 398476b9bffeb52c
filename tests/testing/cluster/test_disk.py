"""A shared disk takes from each home only until a later one has raised the fence."""

import pytest

from udpim.errors import StoreFenced
from udpim.im.records import PutMeta, ReadQueue
from udpim.model import Endpoint
from udpim.store.state import StoreState
from udpim.testing.cluster.disk import FencedDisk, SharedDisk
from udpim.testing.sqlite_disk import SQLiteDisk

ROW = PutMeta("a", b"1")
QUESTION = ReadQueue(Endpoint("bob", "phone"), (), 1)
OTHER = PutMeta("b", b"2")


@pytest.fixture(params=[StoreState, SQLiteDisk])
def shared(request):
    return SharedDisk(request.param)


@pytest.fixture
def views(shared):
    shared.disk.server_snapshot()
    return FencedDisk(shared), FencedDisk(shared)


def meta(view):
    return {name: value for name, value in view.server_snapshot().meta.items() if len(name) == 1}


def test_nobody_writes_who_has_no_epoch(views):
    with pytest.raises(StoreFenced):
        views[0].apply([ROW])


def test_the_home_writes_until_the_next_one_raises_the_fence(views):
    old, new = views
    old.raise_fence(3)
    old.apply([ROW])
    new.raise_fence(4)
    for write in (lambda: old.apply([OTHER]), lambda: old.read_queue(QUESTION)):
        with pytest.raises(StoreFenced) as caught:
            write()
        assert 4 == caught.value.epoch
    assert {"a": b"1"} == meta(new) == meta(old)
    new.apply([OTHER])
    assert {"a": b"1", "b": b"2"} == meta(new)


@pytest.mark.parametrize("epoch", [1, 7])
def test_a_fence_is_only_raised(views, epoch):
    old, new = views
    old.raise_fence(7)
    with pytest.raises(StoreFenced) as caught:
        new.raise_fence(epoch)
    assert 7 == caught.value.epoch
    old.apply([ROW])


def test_a_lost_disk_has_lost_its_fence(shared, views):
    old, new = views
    old.raise_fence(7)
    old.apply([ROW])
    shared.lose()
    new.raise_fence(1)
    assert {} == meta(new)


def test_a_copy_is_nobodys(views):
    old, _new = views
    old.raise_fence(1)
    old.apply([ROW])
    copy = old.copy()
    copy.apply([OTHER])
    assert {"a": b"1"} == meta(old)
