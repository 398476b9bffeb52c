"""Sessions and logins that the server ends for good: what they still can do, and what is kept."""

import pytest

from tests.node.net import Net, dialled, logged_in, login, msg
from udpim.hop.codes import CloseCode
from udpim.node.stats import server_stats
from udpim.wire import im_packets as p

WORDS = "the account is closed"


def revoke(net, server, user, device=None):
    count = server.node.revoke(
        lambda proof: proof.endpoint.user == user and device in (None, proof.endpoint.device),
        WORDS,
        net.now,
    )
    server.settle()
    return count


def sessions(server):
    return {str(endpoint) for endpoint in server.node.router.sessions}


def numbered(count, mark=b"m"):
    return [b"%s%d" % (mark, i) for i in range(count)]


def test_the_client_is_told_and_does_not_dial_again():
    net = Net()
    server = net.server()
    alice, bob = net.client("alice").online(), net.client("bob").online()
    assert 1 == revoke(net, server, "alice")
    net.run(300)
    assert "CLOSED" == alice.links()[-1]
    last = alice.events[-1]
    assert (CloseCode.REVOKED, WORDS, False) == (last.code, last.reason, last.login_refused)
    assert {"bob/d"} == sessions(server)
    assert ("ONLINE", 1) == (bob.links()[-1], server.node.links)
    assert 1 == server_stats(server.node)["revoked_logins"]


def test_one_device_may_be_ended_alone_and_nobody_is_ended_twice():
    net = Net()
    server = net.server()
    for device in ("phone", "laptop"):
        net.client("alice", device).online()
    assert 1 == revoke(net, server, "alice", "phone")
    assert 0 == revoke(net, server, "alice", "phone")
    assert {"alice/laptop"} == sessions(server)
    assert 1 == revoke(net, server, "alice")
    assert (set(), 2) == (sessions(server), server.node.revoked_logins)


def test_a_connection_without_a_login_is_nobodys():
    net = Net()
    server = net.server()
    raw = dialled(net)
    assert 0 == server.node.revoke(lambda proof: True, WORDS, net.now)
    assert raw.open


def test_each_is_judged_by_what_it_was_admitted_by():
    net = Net()
    server = net.server()
    net.client("alice", token=b"old").online()
    net.client("bob", token=b"new").online()
    proofs = []
    server.node.revoke(lambda proof: bool(proofs.append(proof)), WORDS, net.now)
    assert [("alice", "d"), ("bob", "d")] == [proof.endpoint for proof in proofs]
    assert 2 == len({proof.token_sha256 for proof in proofs})
    assert all(32 == len(proof.token_sha256) and proof.key is None for proof in proofs)


def test_no_frame_of_the_session_is_taken_and_no_message_is_lost_or_doubled():
    """Some are on their way, some unacked, and no CLOSE arrives, so the client goes on sending."""
    net = Net()
    server = net.server()
    alice, bob = net.client("alice").online(), net.client("bob").online()
    alice.send("bob", *numbered(20))
    net.run(0.011)  # they are under way, and no answer is
    net.drop = lambda source, to, data: to == alice.address
    alice.send("bob", *numbered(20, b"late"))
    (connection,) = (c for c in server.node.connections() if c.path == alice.address)
    revoke(net, server, "alice")
    heard, got = connection.stats.bytes_received, bob.got[:]
    for _ in range(20):
        alice.send("bob", b"refused")
        net.run(0.05)
    assert connection.stats.bytes_received > heard
    assert numbered(len(got)) == got == bob.got, "what came after it was not routed"
    assert {"bob/d"} == sessions(server)
    sent = numbered(20) + numbered(20, b"late") + [b"refused"] * 20
    net.drop = lambda source, to, data: False
    net.run(60)
    alice.restart(alice.store.state)
    net.run(30)
    assert sent == bob.got
    assert 60 == len(alice.states)
    assert {"DELIVERED"} == set(alice.shown())


def test_what_waits_for_a_recipient_who_is_ended_comes_when_they_are_back():
    net = Net()
    server = net.server()
    alice, bob = net.client("alice").online(), net.client("bob").online()
    net.drop = lambda source, to, data: to == bob.address
    alice.send("bob", *numbered(10))
    net.run(0.05)
    revoke(net, server, "bob")
    net.run(5)
    assert ["STORED"] * 10 == alice.by_seq()
    net.drop = lambda source, to, data: False
    bob.restart(bob.store.state)
    net.run(5)
    assert numbered(10) == bob.got
    assert ["DELIVERED"] * 10 == alice.by_seq()


@pytest.mark.parametrize("waits_for", ["hook", "commit"])
def test_a_login_on_its_way_does_not_get_in_nor_what_came_with_it(waits_for):
    net = Net()
    server = net.server()
    bob = net.client("bob").online()
    raw = dialled(net, "zoe")
    server.hold_logins, server.store.held = waits_for == "hook", waits_for == "commit"
    raw.send(login(), msg(1, b"early"))
    net.run(0.1)
    assert 1 == revoke(net, server, "zoe")
    server.store.held = False
    server.answer()
    server.settle()
    net.run(2)
    assert ([], CloseCode.REVOKED, WORDS) == (
        raw.packets,
        raw.connection.closed.code,
        raw.connection.closed.reason,
    )
    assert {"bob/d"} == sessions(server)
    assert [] == bob.got
    sizes = server.node.sizes()
    assert (0, 0, 0) == tuple(
        sizes[name] for name in ("logins_authenticating", "logins_committing", "early_bytes")
    )


def test_a_client_that_is_ended_while_it_logs_in_stops_too():
    net = Net()
    server = net.server()
    server.hold_logins = True
    alice = net.client("alice")
    alice.connect()
    net.run(0.5)
    assert "LOGGING_IN" == alice.links()[-1]
    revoke(net, server, "alice")
    net.run(60)
    assert ("CLOSED", CloseCode.REVOKED) == (alice.links()[-1], alice.events[-1].code)


def test_after_it_the_hook_decides_who_comes_back():
    net = Net()
    server = net.server()
    first = logged_in(net)
    revoke(net, server, "zoe")
    server.verdict = lambda endpoint, secret: "no more"
    second = dialled(net, "again")
    second.send(login(count=2))
    net.run(1)
    assert (["no more"], False) == ([r.reason for r in second.of(p.LoginRefused)], first.open)
    server.verdict = lambda endpoint, secret: None
    third = dialled(net, "third")
    third.send(login(count=3))
    net.run(1)
    assert 1 == len(third.of(p.LoginOk))
