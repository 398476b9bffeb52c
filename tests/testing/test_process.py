"""Virtual processes crash, restart, pause and have skewed clocks."""

import pytest

from udpim.node.state import LinkState
from udpim.testing import World
from udpim.testing.process import SOCKET_BUFFER_DATAGRAMS


@pytest.fixture
def world(seed):
    world = World(seed)
    world.server()
    world.client("alice")
    world.client("bob")
    world.online()
    return world


def test_monotonic_clocks_of_processes_differ(world):
    assert len({process.now for process in world.processes}) == 3


def test_crashed_process_hears_nothing_and_comes_back_with_its_disk(world):
    alice = world.clients["alice/phone"]
    incarnation = world.history.incarnations[alice.endpoint]
    address = alice.address
    alice.crash()
    assert (alice.up, alice.online) == (False, False)
    alice.start()
    world.online()
    assert alice.life == 2
    assert alice.address != address
    assert world.history.incarnations[alice.endpoint] == incarnation


def test_server_keeps_its_address(world):
    address = world.server().address
    world.server().restart()
    assert world.server().address == address


def test_starting_twice_is_an_error(world):
    with pytest.raises(AssertionError, match="is up already"):
        world.server().start()
    world.server().crash()
    with pytest.raises(AssertionError, match="is down already"):
        world.server().crash()


def test_paused_process_does_nothing_until_it_goes_on(world):
    alice, bob = world.clients["alice/phone"], world.clients["bob/phone"]
    bob.pause()
    alice.send("bob", b"one")
    world.run(5)
    assert world.history.handovers == []
    bob.resume()
    world.settle()
    assert [one.payload for one in world.history.handovers] == [b"one"]


def test_buffer_of_a_paused_process_is_bounded(world):
    alice = world.clients["alice/phone"]
    alice.pause()
    for _ in range(2 * SOCKET_BUFFER_DATAGRAMS):
        world.network.send(("x", 1), alice.address, b"\x41" * 40)
    world.run(1)
    alice.resume()
    assert alice.node.connection.drops["wrong connection id"] == SOCKET_BUFFER_DATAGRAMS


def test_jump_of_the_clock_ends_what_waits_for_it(world):
    alice = world.clients["alice/phone"]
    alice.jump_clock(3600.0)
    world.run(0.1)
    assert LinkState.WAITING in [state for state, _ in alice.links]
    world.run(5)
    world.online()


def test_disk_may_be_lost_or_replaced(world):
    alice = world.clients["alice/phone"]
    incarnation = world.history.incarnations[alice.endpoint]
    backup = alice.back_up()
    alice.lose_disk()
    world.run(1)
    assert world.history.incarnations[alice.endpoint] != incarnation
    alice.crash()
    alice.restore(backup)
    world.run(5)
    assert alice.online
    assert set(world.history.lost_disks) == {"alice/phone"}


def test_node_that_wants_its_timer_for_ever_is_found_out(world, monkeypatch):
    alice = world.clients["alice/phone"]
    monkeypatch.setattr(alice.node, "next_timeout", lambda: alice.now)
    monkeypatch.setattr(alice.node, "handle_timeout", lambda now: None)
    with pytest.raises(AssertionError, match="for ever"):
        world.run(60)
