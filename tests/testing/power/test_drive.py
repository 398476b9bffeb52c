"""What a drive forgets when the power goes off, and what it does not."""

import pytest

from udpim.testing.choices import Choices
from udpim.testing.power.drive import (
    SECTOR_BYTES,
    Drive,
    NoRoom,
    PowerLost,
    SyncFailed,
)

NAME = "/a"
OLD, NEW = b"old." * 128, b"new!" * 128


def drive_of(seed=0, tape=None):
    return Drive(Choices(seed, tape).stream("drive"))


def written(drive, *parts):
    file = drive.find(NAME) or drive.make(NAME, durable=True)
    for at, data in enumerate(parts):
        drive.write(file, at * SECTOR_BYTES, data)
    return file


def test_what_was_synced_stays(seed):
    drive = drive_of(seed)
    drive.sync(written(drive, OLD, OLD))
    drive.lose_power()
    assert {NAME: OLD * 2} == drive.image()


def test_without_luck_everything_else_is_gone():
    drive = drive_of(tape={})
    drive.sync(written(drive, OLD, OLD))
    written(drive, NEW, NEW, NEW)
    drive.lose_power()
    assert {NAME: OLD * 2} == drive.image()


def test_each_sector_is_old_or_some_version_of_new_or_garbage():
    seen = set()
    for seed in range(300):
        drive = drive_of(seed)
        drive.sync(written(drive, OLD, OLD))
        written(drive, NEW, b"first" + OLD[5:])
        drive.write(drive.find(NAME), SECTOR_BYTES, b"second")
        drive.lose_power()
        data = drive.image()[NAME]
        assert 2 * SECTOR_BYTES == len(data)
        seen.add((data[:4], data[SECTOR_BYTES:][:8]))
    assert {(b"new!", b"old.old."), (b"old.", b"secondd."), (b"new!", b"firstld.")} <= seen
    assert any(first == b"\xa5" * 4 for first, _ in seen)


def test_garbage_harms_no_byte_that_nobody_wrote_to():
    for seed in range(300):
        drive = drive_of(seed)
        drive.sync(written(drive, OLD))
        drive.write(drive.find(NAME), 8, b"tail")
        drive.lose_power()
        data = drive.image()[NAME]
        assert (OLD[:8], OLD[12:]) == (data[:8], data[12:])


def test_a_length_that_was_not_synced_may_be_any_of_those_it_had():
    sizes = set()
    for seed in range(200):
        drive = drive_of(seed)
        file = written(drive, OLD, OLD)
        drive.sync(file)
        drive.truncate(file, 0)
        drive.write(file, 0, NEW)
        drive.lose_power()
        sizes.add(len(drive.image()[NAME]))
    assert {0, SECTOR_BYTES, 2 * SECTOR_BYTES} == sizes


def test_names_are_volatile_until_the_folder_is_synced():
    drive = drive_of(tape={})
    drive.sync(drive.make("/lost", durable=False))
    drive.sync(drive.make("/kept", durable=False))
    drive.delete("/lost", sync=True)
    drive.delete("/kept", sync=False)
    drive.make("/new", durable=False)
    drive.lose_power()
    assert ["/kept"] == list(drive.image())


def test_the_power_goes_off_in_the_course_of_a_change():
    drive = drive_of(tape={})
    file = written(drive, OLD)
    drive.cut_after(2)
    drive.write(file, 0, NEW)
    with pytest.raises(PowerLost):
        drive.sync(file)
    assert ({NAME: b""}, 1, 2) == (drive.image(), drive.losses, drive.life)


def test_a_killed_process_loses_nothing():
    drive = drive_of(tape={})
    written(drive, OLD)
    drive.kill_process()
    assert ({NAME: OLD}, 2) == (drive.image(), drive.life)


def test_a_failed_sync_is_not_made_good_by_the_next_one():
    drive = drive_of(tape={})
    file = written(drive, OLD)
    drive.fail_sync_after(1)
    with pytest.raises(SyncFailed):
        drive.sync(file)
    drive.write(file, SECTOR_BYTES, NEW)
    drive.sync(file)
    assert OLD + NEW == drive.image()[NAME]
    drive.lose_power()
    assert bytes(SECTOR_BYTES) + NEW == drive.image()[NAME]


def test_a_full_drive_refuses_and_keeps_what_it_has():
    drive = drive_of()
    file = written(drive, OLD)
    drive.room = lambda: False
    with pytest.raises(NoRoom):
        drive.write(file, 0, NEW)
    assert {NAME: OLD} == drive.image()


def test_a_tape_brings_back_the_same_loss(seed):
    images = []
    tape = None
    for _ in range(2):
        choices = Choices(seed, tape)
        drive = Drive(choices.stream("drive"))
        written(drive, OLD, OLD, NEW)
        drive.lose_power()
        images.append(drive.image())
        tape = choices.tape()
    assert images[0] == images[1]
