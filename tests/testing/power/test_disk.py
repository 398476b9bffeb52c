"""A world whose disks lose power."""

import pytest

pytest.importorskip("apsw", reason="needs the extra sim")

from udpim.errors import LocalProtocolError
from udpim.im.records import PutMeta, PutQueue, QueueRow, ReadQueue
from udpim.model import Endpoint, StreamId
from udpim.testing import Profile, World
from udpim.testing.choices import Choices
from udpim.testing.power.disk import PowerDisk, power_disks
from udpim.testing.storage import MortalDisk

STREAM = StreamId("alice", "phone", 7, "bob")
BOB = Endpoint("bob", "phone")


def disk_of(seed=0, **settings):
    return PowerDisk(Choices(seed).stream("disk"), **settings)


def play(seed, choices, **settings):
    """A conversation in which everybody's machine fails now and then."""
    disks = []
    make = power_disks(choices, **settings)
    new_disk = lambda host: disks.append(make(host)) or disks[-1]  # noqa: E731  # one line of it
    world = World(seed, faults=Profile(loss_ratio=0.05), new_disk=new_disk)
    world.server()
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    plan = choices.stream("plan")
    for number in range(12):
        (alice, bob)[number % 2].send(("bob", "alice")[number % 2], b"m%d" % number)
        world.run(plan.decide(lambda dice: dice.randrange(60)) / 1000)
        if plan.chance(0.4):
            world.processes[plan.decide(lambda dice: dice.randrange(3))].restart()
    world.heal_and_settle()
    world.check()
    return sum(disk.drive.losses for disk in disks), len(world.history.crossings)


def test_a_world_keeps_its_promises_when_machines_lose_their_power():
    losses = sum(play(f"power {n}", Choices(n))[0] for n in range(5))
    assert losses > 5


def test_a_tape_repeats_the_world():
    choices = Choices("tape")
    first = play("tape", choices)
    assert first == play("tape", Choices("tape", choices.tape()))


def test_what_waits_lands_whole_or_not_at_all():
    landed = set()
    for seed in range(80):
        disk = disk_of(seed)
        disk.client_snapshot()
        disk.apply([PutMeta("done", b"1")])
        count = disk.die([[PutMeta("a", b"1")], [PutMeta("b", b"1")]])
        expected = {"done"} | ({"a", "b"} if count else set())
        assert expected == set(disk.client_snapshot().meta)
        landed.add(count)
    assert {0, 2} == landed


def test_with_synchronous_off_acknowledged_transactions_are_lost():
    lost = 0
    for seed in range(40):
        disk = disk_of(seed, synchronous="OFF")
        disk.client_snapshot()
        disk.apply([PutMeta("done", b"1")])
        disk.die([])
        lost += "done" not in disk.client_snapshot().meta
    assert lost


def test_it_is_a_disk_on_which_it_matters_that_a_process_dies():
    assert isinstance(disk_of(), MortalDisk)


def test_nobodys_disk_may_die_and_takes_nothing():
    disk = disk_of()
    assert [0] * 9 == [disk.die([]) for _ in range(9)]
    with pytest.raises(LocalProtocolError, match="nobody's"):
        disk.apply([PutMeta("a", b"1")])


def test_operations_that_contradict_the_disk_change_nothing():
    disk = disk_of()
    disk.client_snapshot()
    with pytest.raises(LocalProtocolError):
        disk.apply([PutMeta("a", b"1"), PutQueue(BOB, STREAM, 1, 1, ())])
    assert {} == disk.client_snapshot().meta


def test_a_copy_goes_its_own_way():
    disk = disk_of()
    disk.server_snapshot()
    row = QueueRow(1, False, 0, b"hi")
    disk.apply([PutQueue(BOB, STREAM, 1, 1, (row,))])
    copy = disk.copy()
    disk.apply([PutMeta("a", b"1")])
    (items,) = copy.read_queue(ReadQueue(BOB, ((STREAM, ((1, 1),)),), 100))
    assert ((row,), {}) == (items.rows, copy.server_snapshot().meta)
    assert {} == disk_of().copy().server_snapshot().meta
