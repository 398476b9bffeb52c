"""Presence between nodes: asked on request, answered as far as the hook allows."""

from tests.node.net import Net
from udpim.config import INQUIRIES_MAX
from udpim.model import PresenceCode
from udpim.node import events as ev
from udpim.wire import im_packets as p
from udpim.wire.im_schema import NEVER_SEEN_S


def pair():
    net = Net()
    server = net.server()
    return net, server, net.client("bob", "phone").online(), net.client("alice").online()


def answers(host):
    return [answer for event in host.of(ev.PresenceAnswered) for answer in event.answers]


def ask(net, host, user="bob"):
    """Ask, and return what the server said."""
    before = len(answers(host))
    request = host.node.inquiries.ask(user)
    net.run(0.3)
    (answer,) = answers(host)[before:]
    assert request == answer.request
    return answer.code, answer.devices


def seen(device, online, seen_s):
    return (p.DeviceSeen(device, online, seen_s),)


def test_online_devices_are_shown_and_for_others_how_long_ago_they_left():
    net, _server, bob, alice = pair()
    assert (0, seen("phone", True, 0)) == ask(net, alice)
    bob.node.close(net.now)
    net.run(60.2)
    assert (0, seen("phone", False, 60)) == ask(net, alice)
    bob.restart()
    net.run(1)
    assert (0, seen("phone", True, 0)) == ask(net, alice)


def test_a_server_that_was_started_anew_has_seen_nobody_leave():
    net, server, bob, alice = pair()
    bob.node.close(net.now)
    net.run(1)
    server.restart()
    net.run(60)
    assert (0, seen("phone", False, NEVER_SEEN_S)) == ask(net, alice)


def test_a_user_without_devices_is_there_and_an_unknown_one_is_not():
    net, server, _bob, alice = pair()
    server.known.add("carol")
    assert (PresenceCode.OK, ()) == ask(net, alice, "carol")
    assert (PresenceCode.UNKNOWN_USER, ()) == ask(net, alice, "mallory")


def test_who_may_not_see_learns_nothing_not_even_whether_there_is_such_a_user():
    net, server, _bob, alice = pair()
    asked = []
    server.may_see = lambda endpoint, subject: asked.append((str(endpoint), subject))
    for name in ("bob", "mallory"):
        assert (PresenceCode.REFUSED, ()) == ask(net, alice, name)
    assert [("alice/d", "bob"), ("alice/d", "mallory")] == asked


def test_a_question_survives_a_reconnect_and_a_server_that_died_over_it():
    net, server, _bob, alice = pair()
    server.hold_presence = True
    request = alice.node.inquiries.ask("bob")
    net.run(0.3)
    assert 1 == len(server.unseen)
    server.unseen.clear()
    server.restart()
    server.hold_presence = False
    net.run(90)
    assert [request] == [answer.request for answer in answers(alice)]
    assert seen("phone", True, 0) == answers(alice)[0].devices


def test_a_question_before_the_login_is_asked_after_it():
    net = Net()
    net.server()
    alice = net.client("alice")
    alice.node.inquiries.ask("alice")
    alice.connect()
    net.run(1)
    assert [seen("d", True, 0)] == [answer.devices for answer in answers(alice)]


def test_an_answer_that_nobody_waits_for_any_more_is_dropped_and_counted():
    net, server, _bob, alice = pair()
    server.hold_presence = True
    request = alice.node.inquiries.ask("bob")
    net.run(0.3)
    alice.node.inquiries.forget(request)
    server.answer_presence()
    net.run(0.3)
    assert [] == answers(alice)
    assert {"answer that nobody waits for": 1} == alice.node.drops


def test_an_answer_for_a_session_that_has_ended_is_dropped_and_its_place_is_free():
    net, server, _bob, alice = pair()
    server.hold_presence = True
    alice.node.inquiries.ask("bob")
    net.run(0.3)
    alice.node.close(net.now)
    net.run(0.3)
    server.answer_presence()
    assert {"presence for a session that has ended": 1} == server.node.drops
    assert 0 == server.node.sizes()["presence_questions"]


def raw_login(net, count=1):
    raw = net.raw_client(f"zoe{count}")
    net.run(0.2)
    raw.send(p.Login("zoe", "z", b"t", 5, count))
    net.run(0.2)
    return raw


def test_who_asks_more_than_it_may_is_refused_at_once_on_every_login_of_the_endpoint():
    net, server, _bob, _alice = pair()
    server.hold_presence = True
    raw = raw_login(net)
    raw.send(*[p.PresenceR(n, "bob") for n in range(INQUIRIES_MAX + 3)])
    net.run(0.3)
    refused = [(PresenceCode.REFUSED, INQUIRIES_MAX + n) for n in range(3)]
    assert refused == [(answer.code, answer.request) for answer in raw.of(p.PresenceA)]
    again = raw_login(net, 2)
    again.send(p.PresenceR(1, "bob"))
    net.run(0.3)
    assert [PresenceCode.REFUSED] == [answer.code for answer in again.of(p.PresenceA)]
    assert {"presence:R beyond the limit, refused": 4} == server.node.drops
    assert INQUIRIES_MAX == server.node.sizes()["presence_questions"]
    server.hold_presence = False
    server.answer_presence()
    again.send(p.PresenceR(2, "bob"))
    net.run(0.3)
    assert (2, PresenceCode.OK) == again.of(p.PresenceA)[-1][:2]


def test_presence_is_written_nowhere():
    net, server, _bob, alice = pair()
    net.run(1)
    server.store.held = True
    assert PresenceCode.OK == ask(net, alice)[0]
    assert [] == server.node.router.ledger.take_ops()
    assert 0 == len(server.node.router.ledger)
