"""Who a connection may be, once and for all: logins that race, guess or move; receipts (R13)."""

import pytest

from tests.node.net import Net
from udpim.hop.codes import CloseCode
from udpim.model import LoginCode, StreamId
from udpim.wire import im_packets as p
from udpim.wire.im_codec import encode_section
from udpim.wire.packet import is_long

INCARNATION = 1 << 63
NOT_NOW = "IM packet not acceptable now"


def login(user="zoe", device="z", count=1, token=b""):
    return p.Login(user, device, token, INCARNATION, count)


def dialled(net, name="raw"):
    raw = net.raw_client(name)
    net.run(0.2)
    assert raw.open
    return raw


def logged_in(net, user, device="d"):
    raw = dialled(net, user)
    raw.send(login(user, device))
    net.run(0.2)
    assert 1 == len(raw.of(p.LoginOk))
    return raw


def sessions(server):
    return {str(endpoint) for endpoint in server.node.router.sessions}


@pytest.mark.parametrize("second", [login(), login(count=2), login("yan")])
def test_a_login_while_another_of_the_connection_commits_is_not_taken(second):
    net = Net()
    server = net.server()
    raw = dialled(net)
    server.store.held = True
    raw.send(login())
    net.run(0.1)
    raw.send(second)
    net.run(0.1)
    server.store.held = False
    server.settle()
    net.run(1)
    assert {"zoe/z"} == sessions(server)
    assert 1 == len(raw.of(p.LoginOk))
    assert raw.open
    assert NOT_NOW in server.node.hop_totals().drops


def test_a_connection_has_one_guess_at_a_token():
    net = Net()
    server = net.server()
    secrets = []
    server.verdict = lambda endpoint, secret: secrets.append(secret) or "wrong"
    raw = dialled(net)
    for guess in (b"1234", b"1235", b"1236"):
        if raw.open:
            raw.send(login(token=guess))
            net.run(0.015)
    net.run(2)
    assert [b"1234"] == secrets
    assert [LoginCode.BAD_CREDENTIALS] == [refused.code for refused in raw.of(p.LoginRefused)]
    assert CloseCode.LOGIN_REFUSED == raw.connection.closed.code
    assert 0 == server.node.links


def test_a_good_token_does_not_let_in_as_whoever_else_the_packet_names():
    net = Net()
    server = net.server()
    server.verdict = lambda endpoint, secret: None if endpoint.user == "mallory" else "wrong"
    raw = dialled(net)
    raw.send(login("mallory"), login("victim"))
    net.run(3)
    assert (set(), []) == (sessions(server), raw.of(p.LoginOk))
    assert 2 <= server.node.hop_totals().drops["IM packet not acceptable now"]


def test_nobody_gives_a_receipt_for_what_is_addressed_to_somebody_else():
    net = Net()
    server = net.server()
    alice = net.client("alice").online()
    net.client("bob", store=None).online().node.close(net.now)
    net.run(0.1)
    stream, seq = alice.send("bob", b"for bob only")
    net.run(1)
    mallory = logged_in(net, "mallory")
    mallory.send(p.AckR(1, stream.id, False, ((seq, seq),), ()))
    mallory.send(p.AckR(1, stream.id, True, ((seq, seq),), ()))
    net.run(1)
    assert {"receipt for somebody else's stream": 2} == server.node.router.drops
    assert "STORED" == stream.state(seq).name
    back = net.client("bob", store=net.hosts["bob-d", 1].store).online()
    assert [b"for bob only"] == back.got


def test_what_a_session_writes_is_its_own_whatever_name_it_gives():
    net = Net()
    server = net.server()
    bob = net.client("bob").online()
    mallory = logged_in(net, "mallory")
    section = encode_section(1, [0], [b"trust me"])
    as_alice = StreamId("alice", "d", INCARNATION, "bob")
    mallory.send(p.MsgR(1, as_alice, 1, (p.EpochRun(1, 1),), 0, section))
    net.run(1)
    (run,) = [run for event in bob.events for run in getattr(event, "runs", ())]
    assert ("mallory", "d") == (run.stream.user, run.stream.device)
    assert {"name of another sender": 1} == server.node.drops


def test_a_displaced_session_that_never_proved_its_address_leaves_nothing_behind():
    net = Net()
    server = net.server()
    raw = net.raw_client()
    net.drop = lambda source, to, data: source == raw.address and not is_long(data)
    net.run(0.1)
    raw.send(login())
    for data, _ in raw.drain():
        server.receive(data, ("198.51.100.66", 6))
    net.run(0.1)
    assert {"zoe/z"} == sessions(server)
    assert [] == raw.packets
    other = dialled(net, "other")
    other.send(login(count=2))
    net.run(1)
    assert 1 == len(other.of(p.LoginOk))
    assert (1, {"zoe/z"}) == (server.node.links, sessions(server))
