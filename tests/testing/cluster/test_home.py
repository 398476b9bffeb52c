"""The node of a home says nothing more once its store has failed or its term is over."""

from udpim.errors import StoreError, StoreFull
from udpim.testing import World


def home_of(seed):
    world = World(seed)
    cluster = world.cluster()
    world.client("alice")
    world.online()
    return world, cluster.home


def test_a_failed_store_silences_the_node_at_once(seed):
    world, home = home_of(seed)
    home.store.fail(StoreError("disk", "it fails"))
    world.client("bob")
    world.run_until(lambda: not home.node.up)
    sent = len(world.network.trace)
    assert all(one.source != home.address for one in world.network.trace[sent:])
    assert home.node.life == 1


def test_a_full_disk_ends_no_term(seed):
    world, home = home_of(seed)
    home.store.fail(StoreFull("disk", "no room"))
    world.client("bob")
    world.run(2.0)
    assert home.is_home
    assert home.node.up


def test_a_disk_that_is_full_at_the_very_first_write_ends_the_process(seed):
    world = World(seed)
    cluster = world.cluster()
    for member in cluster.members:
        member.store.fail()
    alice, _ = world.client("alice"), world.client("bob")
    world.online()
    assert world.history.store_epoch == world.server().node.router.store_epoch
    alice.send("bob", [b"x"])
    world.heal_and_settle()
    world.check()


def test_what_is_in_flight_lands_when_a_term_ends(seed):
    world, home = home_of(seed)
    world.client("bob")
    world.run_until(lambda: home.store.pending > 0)
    durable = world.history.ops.total()
    home.node.end_term()
    assert 0 == home.store.pending
    assert durable < world.history.ops.total()
    assert not home.node.up
