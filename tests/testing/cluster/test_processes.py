"""Several server processes in virtual time: to clients and to the oracle they are one server."""

import pytest

from udpim.errors import StoreError
from udpim.testing import World
from udpim.testing.cluster import Setup
from udpim.testing.cluster.directory import LOCK_WAIT_S
from udpim.testing.cluster.meeting import BUS
from udpim.testing.cluster.member import RESTART_S
from udpim.testing.faults import Loss
from udpim.testing.sqlite_disk import SQLiteDisk

LEASE_S = 1.0
SENT = [b"%d" % n for n in range(20)]


def stage(seed, setup=None, **world):
    """A world with a cluster whose home is found, alice and bob online at different processes."""
    world = World(seed, faults=Loss.uniform(0.1), **world)
    cluster = world.cluster(setup or Setup(size=3, lease_s=LEASE_S))
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    return world, cluster, alice, bob


@pytest.fixture(params=[None, lambda host: SQLiteDisk()], ids=["objects", "database"])
def scene(seed, request):
    return stage(seed, new_disk=request.param)


def judge(world, sent):
    world.heal_and_settle()
    world.check()
    assert {"DELIVERED": len(sent.msgids)} == world.clients["alice/phone"].states(sent)


def away(world, user):
    """A user who was here once."""
    client = world.client(user)
    world.online()
    client.close()
    world.run(1.0)
    client.crash()


def homes(cluster):
    return [member.host for member in cluster.members if member.is_home]


def test_one_is_the_home_and_clients_come_through_gates(scene):
    world, cluster, alice, bob = scene
    assert 1 == len(homes(cluster))
    assert alice.servers[0] != bob.servers[0]
    judge(world, alice.send("bob", SENT))
    assert 0 < cluster.counters["arrived"]


def test_a_killed_home_is_replaced_and_nothing_is_lost(scene):
    world, cluster, alice, _bob = scene
    sent = alice.send("bob", SENT)
    world.run(0.03)
    (before,) = homes(cluster)
    cluster.home.crash()
    world.run(2 * LEASE_S)
    assert [before] != homes(cluster)
    judge(world, sent)


def test_a_killed_gate_costs_its_clients_another_dial(scene):
    world, cluster, alice, _bob = scene
    sent = alice.send("bob", SENT)
    for member in cluster.members:
        if not member.is_home:
            member.crash()
    judge(world, sent)


def test_a_home_that_slept_beyond_its_lease_promises_nothing_any_more(scene):
    world, cluster, alice, _bob = scene
    away(world, "carol")  # so what is for carol has to be written
    zombie = cluster.home
    sent = alice.send("carol", SENT)
    world.run_until(lambda: zombie.store.pending > 0, 20.0)
    zombie.pause()
    world.run_until(lambda: len(homes(cluster)) == 2, 20.0)
    world.run(5 * LEASE_S)
    zombie.resume()
    assert 1 == cluster.counters["homes fenced"]
    world.run(LEASE_S)
    assert not zombie.is_home
    judge(world, sent)


def test_without_a_directory_two_are_home_and_one_of_them_is_fenced(scene):
    world, cluster, alice, _bob = scene
    first = cluster.meeting.directory.lease.epoch
    cluster.meeting.directory.lose()
    sent = alice.send("bob", SENT)
    judge(world, sent)
    assert first < cluster.meeting.directory.lease.epoch
    assert 1 == len(homes(cluster))


def test_a_home_that_is_cut_off_from_the_directory_steps_down(scene):
    world, cluster, alice, _bob = scene
    cut_off = cluster.home
    cluster.meeting.directory.cut(cut_off.host)
    cluster.meeting.bus.cut(cut_off.host)
    sent = alice.send("bob", SENT)
    world.run(2 * LEASE_S + 2 * LOCK_WAIT_S)
    assert not cut_off.is_home
    assert 1 == len(homes(cluster))
    judge(world, sent)


def test_who_leaves_gives_the_lease_back_and_comes_again(scene):
    world, cluster, alice, _bob = scene
    leaving = cluster.home
    sent = alice.send("bob", SENT)
    leaving.leave()
    world.run_until(lambda: not leaving.up)
    assert "" == cluster.meeting.directory.lease.node
    world.run(RESTART_S)
    assert (True, 2, []) == (leaving.up, leaving.life, leaving.errors)
    judge(world, sent)


def test_a_home_whose_store_fails_ends_with_the_reason_and_comes_again(scene):
    world, cluster, alice, _bob = scene
    away(world, "carol")
    failing = cluster.home
    failing.store.fail(StoreError("disk", "it fails"))
    sent = alice.send("carol", SENT)
    world.run_until(lambda: not failing.up)
    assert ["store disk: it fails"] == [str(error) for error in failing.errors]
    judge(world, sent)
    assert failing.up


def test_a_port_that_nobody_reaches_sends_clients_to_the_next_one(scene):
    world, cluster, alice, _bob = scene
    for member in cluster.members[:-1]:
        member.shut()
    world.run(60.0)
    world.online()
    sent = alice.send("bob", SENT)
    world.settle()
    assert {"DELIVERED": 20} == alice.states(sent)
    cluster.heal()
    assert not any(member.unreachable for member in cluster.members)
    world.check()


def test_a_clock_that_jumps_ends_no_lease_for_good(scene):
    world, cluster, alice, _bob = scene
    for member in cluster.members:
        member.jump_clock(1000.0)
    judge(world, alice.send("bob", SENT))


def test_a_wall_clock_is_set_for_the_process(scene):
    world, cluster, _alice, _bob = scene
    cluster.home.wall_skew_ms += 1000
    assert 1000 == cluster.home.wall_skew_ms == world.server().wall_skew_ms


def test_who_belongs_to_the_cluster_is_known_to_every_process(scene):
    _world, cluster, _alice, _bob = scene
    assert all({"alice", "bob"} <= member.node.known_users for member in cluster.members)


def test_a_lost_disk_is_lost_for_all(scene):
    world, _cluster, alice, _bob = scene
    epoch = world.history.store_epoch
    world.lose_server_disk()
    judge(world, alice.send("bob", SENT))
    assert epoch != world.history.store_epoch


def test_a_slow_restore_keeps_the_lease(seed):
    world, cluster, alice, _bob = stage(seed, Setup(lease_s=LEASE_S, restore_s=3 * LEASE_S))
    judge(world, alice.send("bob", SENT))
    assert 1 == cluster.meeting.directory.lease.epoch


def test_a_bad_bus_and_a_bad_directory_only_cost(seed):
    bus = BUS.loss(0.2).duplicate(0.2).reorder(0.2, by=0.5)
    setup = Setup(size=3, lease_s=LEASE_S, bus=bus, directory_fails=0.2)
    world, _cluster, alice, _bob = stage(seed, setup)
    sent = alice.send("bob", SENT)
    world.run(5.0)
    judge(world, sent)


def test_processes_are_found_by_name_and_by_role(scene):
    world, cluster, alice, _bob = scene
    assert cluster.home is cluster.find("server") is world.find("server")
    assert not cluster.find("gate").is_home
    assert cluster.members[1] is cluster.find("s2")
    assert alice is world.find("alice/phone")
    assert world.find("nobody") is None
    cluster.members[1].crash()
    assert cluster.find("s2") is None
    world.run(2 * LEASE_S)
    cluster.home.restart()
    assert 2 == max(member.life for member in cluster.members)


def test_the_same_seed_gives_the_same_run(seed):
    traces = []
    for _ in range(2):
        world, cluster, alice, _bob = stage(seed)
        alice.send("bob", SENT)
        cluster.home.crash()
        world.heal_and_settle()
        traces.append([(one.sent_at, one.source, one.data) for one in world.network.trace])
    assert traces[0] == traces[1]
