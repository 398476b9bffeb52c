"""Groups and reading through both nodes, and the hook that says who may (PROTOCOL §5.10)."""

import pytest

from tests.node.harness import Client, Net, Server
from udpim.im.group_desk import GroupRequest
from udpim.model import GroupAction, GroupCode, MessageState
from udpim.node import effects as fx
from udpim.node import events as ev
from udpim.wire import im_codec
from udpim.wire import im_packets as p

CREATE, JOIN, LEAVE, LIST = GroupAction


def world(*who, **server):
    net = Net()
    return net, Server(net, **server), *[Client(net, name).login() for name in who]


def answers(client):
    return [
        (answer.request, GroupCode(answer.code).name, answer.names)
        for event in client.of(ev.GroupAnswered)
        for answer in event.answers
    ]


def ask(net, client, *question):
    """Ask and wait; returns what the answer says."""
    number = client.node.groups.ask(*question)
    net.until(lambda: number in [answer[0] for answer in answers(client)])
    return next(answer[1:] for answer in answers(client) if answer[0] == number)


def test_a_group_is_made_and_its_messages_reach_every_device():
    net, server, alice, bob, tablet = world("alice/phone", "bob/phone", "bob/tablet")
    assert ("DONE", ()) == ask(net, alice, CREATE, "#g", "")
    assert ("DONE", ()) == ask(net, alice, JOIN, "#g", "bob")
    assert ("DONE", ("alice", "bob")) == ask(net, bob, LIST, "#g", "")
    stream, seq = alice.send("#g", b"hello")
    net.until(lambda: stream.state(seq) is MessageState.DELIVERED)
    assert [b"hello"] == bob.received == tablet.received
    assert [] == alice.received
    assert GroupRequest("alice", "phone", CREATE, "#g", "alice") == server.asked[-3].request


def test_a_question_survives_the_connection_that_carried_it():
    net, server, alice = world("alice/phone")
    server.may_change = lambda effect: "wait"
    number = alice.node.groups.ask(CREATE, "#g", "")
    net.run(1)
    server.may_change = lambda effect: effect.allowed
    server.start()
    net.until(lambda: answers(alice))
    assert [(number, "DONE", ())] == answers(alice)


@pytest.mark.parametrize(("verdict", "said"), [(False, "FORBIDDEN"), (None, "BUSY")])
def test_the_hook_has_the_last_word(verdict, said):
    net, server, alice = world("alice/phone")
    server.may_change = lambda effect: verdict
    assert (said, ()) == ask(net, alice, CREATE, "#g", "")
    assert server.node.router.groups.get("#g") is None
    assert [True] == [e.allowed for e in server.asked if isinstance(e, fx.AuthorizeGroup)]


def test_the_hook_is_told_what_holds_without_it():
    net, server, alice, bob = world("alice/phone", "bob/phone")
    ask(net, alice, CREATE, "#g", "")
    assert ("FORBIDDEN", ()) == ask(net, bob, JOIN, "#g", "alice")
    server.may_change = lambda effect: True
    assert ("DONE", ()) == ask(net, bob, JOIN, "#g", "alice")


def test_what_makes_no_sense_does_not_reach_the_hook():
    net, server, alice = world("alice/phone")
    before = len(server.asked)
    assert ("MALFORMED", ()) == ask(net, alice, CREATE, "g", "")
    assert before == len(server.asked)


def test_questions_to_the_hook_are_limited(monkeypatch):
    monkeypatch.setattr("udpim.node.dispatch.GROUP_REQUESTS_MAX", 1)
    net, server, alice = world("alice/phone")
    server.may_change = lambda effect: "wait"
    alice.node.groups.ask(CREATE, "#g", "")
    net.run(1)
    assert ("BUSY", ()) == ask(net, alice, CREATE, "#h", "")
    server.node.on_group_authorized(server.asked[-1].token, True, net.now)
    net.run(1)
    assert (1, "DONE", ()) in answers(alice)


def test_a_server_changes_groups_on_its_own_behalf():
    _, server, *_ = world("alice/phone", "bob/phone")
    said = []
    assert GroupCode.DONE == server.node.change_group(CREATE, "#g", "alice", said.append)
    assert [] == said
    server.turn(server.net.now)
    assert [True] == said
    assert GroupCode.UNKNOWN_GROUP == server.node.change_group(JOIN, "#x", "bob", said.append)


def test_a_read_mark_reaches_the_sender_and_is_answered():
    net, _server, alice, bob = world("alice/phone", "bob/phone")
    stream, first = alice.send("bob", b"1", b"2")
    net.until(lambda: bob.received == [b"1", b"2"])
    bob.node.read(stream.id, first)
    net.until(lambda: stream.state(first) is MessageState.READ)
    assert MessageState.READ is not stream.state(first + 1)
    net.until(lambda: bob.store.load_client().in_streams[0].read_told == first)
    changes = [c for event in alice.of(ev.ReceiptsChanged) for c in event.changes]
    assert (first, first, MessageState.READ) == tuple(changes[-1][1:])


def test_a_leaver_hears_that_nothing_more_will_come():
    net, server, alice, bob = world("alice/phone", "bob/phone")
    for name in ("alice", "bob"):
        server.node.change_group(CREATE if name == "alice" else JOIN, "#g", name, lambda ok: None)
        net.run(0.1)
    stream, seq = alice.send("#g", b"1")
    net.until(lambda: stream.state(seq) is MessageState.DELIVERED)
    assert ("DONE", ()) == ask(net, bob, LEAVE, "#g", "")
    again, seq = alice.send("#g", b"2")
    net.until(lambda: again.state(seq) is MessageState.EXCUSED)
    assert [b"1"] == bob.received


def test_a_read_mark_for_an_unknown_handle_is_not_taken():
    net, server, alice = world("alice/phone")
    alice.node.connection.send_frame(
        im_codec.encode(p.ReadR(9, None, 1)), None, net.now, bulk=False
    )
    net.run(1)
    assert 1 <= server.hop_drops()["IM packet not acceptable now"]
