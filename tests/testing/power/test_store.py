"""The product's store on a drive that loses, fails or is full."""

import pytest

pytest.importorskip("apsw", reason="needs the extra sim")

from udpim.errors import StoreError, StoreFull, StoreLocked
from udpim.im.records import PutMeta
from udpim.testing.choices import Choices
from udpim.testing.power.drive import Drive
from udpim.testing.power.store import SteppedStore


class Desk:
    def __init__(self, folder, choices):
        self.drive = Drive(choices.stream("drive"))
        self.folder = folder
        self.store = None
        self.open()

    def open(self):
        if self.store is not None:
            self.store.close()
        self.store = SteppedStore(self.folder, self.drive, "client")

    def put(self, *keys):
        for token, key in enumerate(keys):
            self.store.submit(token, [PutMeta(key, b"1")])
        self.store.step()
        return [completion.error for completion in self.store.completed()]

    @property
    def keys(self):
        return set(self.store.load_client().meta)


@pytest.fixture
def desk(tmp_path, seed):
    desk = Desk(tmp_path, Choices(seed))
    yield desk
    desk.store.close()


def test_nothing_happens_before_the_step_and_all_of_it_in_one_commit(desk):
    before = desk.drive.changes
    for token in range(3):
        desk.store.submit(token, [PutMeta(f"k{token}", b"1")])
    assert ([], before) == (desk.store.completed(), desk.drive.changes)
    desk.store.step()
    together = desk.drive.changes - before
    assert [0, 1, 2] == [completion.token for completion in desk.store.completed()]
    desk.put("k3")
    assert together <= 2 * (desk.drive.changes - before - together)


def test_what_is_acknowledged_survives_a_loss_of_power(desk):
    assert [None, None] == desk.put("a", "b")
    desk.drive.lose_power()
    desk.open()
    assert {"a", "b"} == desk.keys


def test_after_a_failed_sync_nothing_is_acknowledged_until_it_is_opened_again(desk):
    desk.put("before")
    desk.drive.fail_sync_after(1)
    (failed,) = desk.put("unknown")
    assert isinstance(failed, StoreError)
    assert "the disk fails" in failed.words
    (refused,) = desk.put("after")
    assert "open the store again" in refused.words
    desk.open()
    shown = desk.keys
    assert {"before"} <= shown <= {"before", "unknown"}
    assert [None] == desk.put("again")
    desk.drive.lose_power()
    desk.open()
    assert shown | {"again"} == desk.keys


@pytest.mark.parametrize("failing", range(1, 9))
def test_whichever_sync_fails_no_acknowledged_transaction_is_lost(desk, failing):
    desk.drive.fail_sync_after(failing)
    acknowledged = {k for k in map(str, range(10)) if desk.put(k) == [None]}
    assert len(acknowledged) < 10
    desk.drive.lose_power()
    desk.open()
    assert acknowledged <= desk.keys


def test_a_full_drive_refuses_and_goes_on_when_there_is_room(desk):
    desk.put("before")
    desk.drive.room = lambda: False
    assert [StoreFull, StoreFull] == [type(error) for error in desk.put("no", "none")]
    desk.drive.room = lambda: True
    assert [None] == desk.put("after")
    desk.drive.lose_power()
    desk.open()
    assert {"before", "after"} == desk.keys


def test_a_process_opens_it_only_once(desk):
    with pytest.raises(StoreLocked):
        SteppedStore(desk.folder, desk.drive, "client")


def test_a_store_whose_making_lost_its_power_is_made_anew(tmp_path):
    for seed in range(60):
        drive = Drive(Choices(seed).stream("drive"))
        drive.cut_after(1 + seed % 30)
        try:
            SteppedStore(tmp_path, drive, "server").close()
        except StoreError:
            assert 1 == drive.losses
        drive.cut_after(0)
        store = SteppedStore(tmp_path, drive, "server")
        assert ([], {}) == (store.damage(), store.load_server().meta)
        store.close()


def test_checkpoints_come_as_often_as_one_likes(desk):
    log = f"{desk.store.path}-wal"
    desk.store.checkpoint_after(1)
    sizes = set()
    for key in "abcdef":
        desk.put(key)
        sizes.add(len(desk.drive.image()[log]))
    assert 1 == len(sizes)
