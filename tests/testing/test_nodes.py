"""Virtual clients have applications, addresses and users; the virtual server has hooks."""

import pytest

from udpim.errors import StoreFull
from udpim.model import MessageState
from udpim.node.state import LinkState
from udpim.testing import World


@pytest.fixture
def world(seed):
    world = World(seed)
    world.server()
    world.client("alice")
    world.client("bob")
    world.online()
    return world


def payloads_at(world, client):
    return [one.payload for one in world.history.handovers if one.endpoint == client.endpoint]


def test_application_may_handle_at_once_later_or_on_command(world):
    alice, bob = world.clients.values()
    bob.handle_after_s = None
    alice.send("bob", [b"one", b"two", b"three"])
    world.run(1)
    assert [payload for _, _, payload in bob.waiting] == [b"one", b"two", b"three"]
    bob.handle(1)
    bob.handle()
    assert bob.waiting == []
    bob.handle_after_s = 5.0
    alice.send("bob", b"four")
    world.run(1)
    assert len(bob.waiting) == 1
    world.run(5)
    assert bob.waiting == []
    assert len(world.history.handled) == 4


def test_what_was_not_handled_comes_again_in_the_next_life(world):
    alice, bob = world.clients.values()
    bob.handle_after_s = None
    alice.send("bob", b"one")
    world.run(1)
    bob.restart()
    world.run(1)
    assert payloads_at(world, bob) == [b"one", b"one"]
    assert [one.life for one in world.history.handovers] == [1, 2]


def test_what_is_set_aside_waits_no_more_and_does_not_come_again(world):
    alice, bob = world.clients.values()
    bob.handle_after_s = None
    alice.send("bob", [b"one", b"two"])
    world.run(1)
    assert bob.set_aside()
    world.run(1)
    assert [payload for _, _, payload in bob.waiting] == [b"two"]
    bob.restart()
    world.run(1)
    assert payloads_at(world, bob) == [b"one", b"two", b"two"]


def test_states_are_those_of_the_node(world):
    alice, _ = world.clients.values()
    sent = alice.send("bob", [b"one", b"two"])
    assert alice.states(sent) == {"PENDING": 2}
    world.settle()
    assert alice.state(sent.msgids[1]) is MessageState.DELIVERED
    assert world.history.last_state(sent.msgids[1]) is MessageState.DELIVERED
    assert alice.alarms == []


def test_a_message_that_moved_with_a_restored_store_is_cancelled_as_its_receipt_does(world):
    alice, bob = world.clients.values()
    copy = alice.back_up()
    alice.send("bob", b"one")
    world.settle()
    alice.restore(copy)
    sent = alice.send("bob", b"two")
    world.network.cut("server", bob.host)
    world.online()
    world.run(1)
    assert alice.state(sent.msgids[0]) is not MessageState.DELIVERED
    alice.cancel(sent)
    world.run(1)
    assert alice.states(sent) == {"UNKNOWN": 1}
    again = world.network.intercept("cancel:R", copies=None, drop=False)
    alice.resend(sent.msgids[0])
    assert (again.seen, alice.alarms) == (1, [])


def test_rebinding_moves_the_address_and_not_the_connection(world):
    alice, bob = world.clients.values()
    address = alice.address
    alice.rebind()
    assert alice.address != address
    alice.send("bob", b"one")
    world.settle()
    assert payloads_at(world, bob) == [b"one"]
    assert [state for state, _ in alice.links].count(LinkState.ONLINE) == 1


def test_closed_client_stays_closed(world):
    alice, _ = world.clients.values()
    alice.close()
    world.run(60)
    assert (alice.closed, alice.online) == (True, False)


def test_errors_of_the_disk_are_kept(world):
    alice, _ = world.clients.values()
    alice.store.fail()
    alice.send("bob", b"one")
    world.run(1)
    assert [type(error) for error in alice.errors] == [StoreFull]


def test_hooks_of_the_server(world):
    server = world.server()
    server.refuse = lambda endpoint, token: "no" if endpoint.user == "mallory" else None
    mallory = world.client("mallory")
    bob = world.clients["bob/phone"]
    bob.crash()
    world.run(40)
    world.clients["alice/phone"].send("bob", [b"one", b"two"])
    world.run(5)
    assert mallory.closed
    assert [(n.endpoint, n.first, n.last) for n in server.offline_notices] == [(bob.endpoint, 1, 2)]


def test_shutdown_says_goodbye(world):
    world.server().shutdown()
    world.run(0.1)
    assert all(not client.online for client in world.clients.values())


def test_a_message_may_be_sent_again_by_hand(world):
    alice, bob = world.clients.values()
    world.network.cut("server", bob.host)
    sent = alice.send("bob", b"one")
    world.run(1)
    copies = world.network.intercept("msg:R", copies=None, drop=False)
    alice.resend(sent.msgids[0])
    assert copies.seen == 1


def test_a_message_whose_commit_landed_in_the_crash_is_shown_as_it_stands(world):
    alice, _ = world.clients.values()
    sent = alice.send("bob", b"one")
    alice.cancel(sent)
    alice.crash(landing=9)
    assert world.history.sends[sent.msgids[0]].accepted is None
    alice.start()
    assert world.history.sends[sent.msgids[0]].accepted is not None
    assert world.history.last_state(sent.msgids[0]) is MessageState.VOID
    world.settle()
    world.check_quiet()
