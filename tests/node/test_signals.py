"""Signals between nodes: passed on at once, to whoever is there, at a limited rate, or dropped."""

import pytest

from tests.node.net import Net
from udpim.node import events as ev
from udpim.wire import im_packets as p
from udpim.wire.im_codec import encode

RATE = {"signals_per_s_max": 5, "signals_burst_max": 10}


def got(host):
    return [signal for event in host.of(ev.SignalsReceived) for signal in event.signals]


def trio(**limits):
    net = Net()
    server = net.server(**limits)
    clients = [net.client(*who).online() for who in (("bob", "1"), ("bob", "2"), ("alice", "a"))]
    return net, server, *clients


def logged_in(net, user="zoe"):
    raw = net.raw_client(user)
    net.run(0.2)
    raw.send(p.Login(user, "z", b"t", 5, 1))
    net.run(0.2)
    return raw


def test_a_signal_reaches_every_device_of_the_recipient_as_the_senders():
    net, server, phone, laptop, alice = trio()
    assert alice.node.send_signal("bob", b"typing", net.now)
    net.run(0.1)
    signal = p.SignalN("alice", "a", "bob", b"typing")
    assert [[signal], [signal], []] == [got(host) for host in (phone, laptop, alice)]
    assert {} == server.node.drops


def test_who_is_not_online_signals_nothing_and_nothing_is_kept_for_later():
    net = Net()
    net.server()
    bob, alice = net.client("bob").online(), net.client("alice")
    assert not alice.node.send_signal("bob", b"before the dial", net.now)
    alice.connect()
    assert not alice.node.send_signal("bob", b"while dialling", net.now)
    net.run(1)
    assert [] == got(bob)
    alice.node.close(net.now)
    assert not alice.node.send_signal("bob", b"afterwards", net.now)
    net.run(1)
    assert [] == got(bob)


@pytest.mark.parametrize("name", ["bob", "nobody"])
def test_a_signal_to_somebody_offline_or_unknown_is_dropped_and_counted(name):
    net, server, phone, laptop, alice = trio()
    for host in (phone, laptop):
        host.node.close(net.now)
    net.run(1)
    assert alice.node.send_signal(name, b"typing", net.now)
    net.run(0.1)
    assert {"signal to somebody unknown or offline": 1} == server.node.drops
    phone.boot(phone.store)
    phone.online()
    assert [] == got(phone)


def test_a_client_keeps_to_the_rate():
    net = Net()
    net.server()
    alice = net.client("alice", **RATE).online()
    assert 10 == sum(alice.node.send_signal("alice", b"", net.now) for _ in range(30))
    net.run(1.01)
    assert 5 == sum(alice.node.send_signal("alice", b"", net.now) for _ in range(30))


def test_the_server_drops_what_one_session_sends_beyond_the_rate_and_only_that():
    net, server, phone, _, alice = trio(**RATE)
    raw = logged_in(net)
    raw.send(*[p.SignalR("bob", b"%d" % n) for n in range(30)])
    net.run(0.1)
    assert [b"%d" % n for n in range(10)] == [signal.payload for signal in got(phone)]
    assert {"signal beyond the rate": 20} == server.node.drops
    assert alice.node.send_signal("bob", b"mine", net.now)
    net.run(0.1)
    assert b"mine" == got(phone)[-1].payload


def test_the_sender_is_the_sessions_identity():
    net, server, phone, *_ = trio()
    raw = logged_in(net)
    raw.send(p.SignalN("alice", "a", "bob", b"forged"), p.SignalR("bob", b"lost with it"))
    net.run(0.1)
    assert [] == got(phone)
    raw.send(p.SignalR("bob", b"honest"))
    net.run(0.1)
    assert [("zoe", "z")] == [(signal.user, signal.device) for signal in got(phone)]
    assert any("IM packet not acceptable now" in c.drops for c in server.node.connections())


def test_a_signal_before_the_login_is_not_taken():
    net, server, phone, *_ = trio()
    raw = net.raw_client()
    net.run(0.2)
    raw.send(p.SignalR("bob", b"typing"))
    net.run(0.1)
    assert [] == got(phone)
    assert any("IM packet not acceptable now" in c.drops for c in server.node.connections())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda c, now: c.send_frame(encode(p.SignalR("bob", b"x")), None, now),
        lambda c, now: c.send_frame(encode(p.SignalR("bob", b"x")), None, now, bulk=True),
        lambda c, now: c.send_datagram(encode(p.OfflineR(1)), now),
        lambda c, now: c.send_datagram(b"", now),
    ],
    ids=["signal in MESSAGE", "signal in BULK", "offline:R in DATAGRAM", "nothing in DATAGRAM"],
)
def test_what_travels_in_the_wrong_frame_makes_its_packet_be_dropped_whole(wrong):
    net, server, phone, *_ = trio()
    raw = logged_in(net)
    wrong(raw.connection, net.now)
    raw.send(p.SignalR("bob", b"beside it"))
    net.run(0.05)
    assert [] == got(phone)
    assert any("malformed IM packet" in c.drops for c in server.node.connections())
    assert raw.open


def test_a_client_takes_no_signal_that_the_server_may_not_send():
    net = Net()
    server = net.raw_server()
    alice = net.client("alice")
    alice.connect()
    net.run(0.5)
    server.send(p.LoginOk(1, True, False, 1000, 1024))
    net.run(0.2)
    server.send(p.SignalR("alice", b"x"))
    net.run(0.1)
    assert [] == got(alice)
    assert {"IM packet not acceptable now": 1} == alice.node.hop_totals().drops
    server.send(p.SignalN("bob", "b", "alice", b"y"))
    net.run(0.1)
    assert [b"y"] == [signal.payload for signal in got(alice)]


def test_a_signal_for_a_connection_that_just_closed_is_nobodys():
    net, server, phone, laptop, alice = trio()
    phone.node.close(net.now)
    assert alice.node.send_signal("bob", b"typing", net.now)
    net.run(0.2)
    assert [] == got(phone)
    assert 1 == len(got(laptop))
    assert {} == server.node.drops
