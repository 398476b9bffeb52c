"""The server node: logins, sessions, and what a client may or may not make it do."""

import pytest

from tests.node.net import (
    ME,
    SERVER,
    STREAM,
    DurableStore,
    Net,
    dialled,
    logged_in,
    login,
    msg,
)
from udpim.errors import StoreError, StoreFull
from udpim.hop.codes import CloseCode
from udpim.model import Endpoint, LoginCode, StreamId
from udpim.node import events as ev
from udpim.node.aging import TICK_S
from udpim.node.stats import server_stats
from udpim.store.memory import MemoryStore
from udpim.wire import im_packets as p
from udpim.wire.im_codec import encode_section

# --- The exchange, end to end ---


def test_messages_reach_their_recipient_in_order_with_true_receipts():
    net = Net()
    net.server()
    bob, alice = net.client("bob").online(), net.client("alice").online()
    alice.send("bob", *[b"%d" % n for n in range(300)])
    net.run(3)
    assert [b"%d" % n for n in range(300)] == bob.got
    assert {"DELIVERED"} == set(alice.shown())
    assert 1 <= bob.node.receipts_acknowledged
    assert 0 == alice.node.outbox.open_messages


def test_an_absent_recipient_gets_everything_at_its_login():
    net = Net()
    server = net.server()
    bob, alice = net.client("bob").online(), net.client("alice").online()
    bob.node.close(net.now)
    net.run(1)
    alice.send("bob", *[b"%d" % n for n in range(100)])
    net.run(1)
    assert {"STORED"} == set(alice.shown())
    assert {Endpoint("bob", "d")} == {effect.endpoint for effect in server.absent}
    told = [seq for e in server.absent for seq in range(e.first, e.last + 1)]
    assert list(range(1, 101)) == told
    alice.node.close(net.now)
    net.run(1)
    bob.restart()
    net.run(2)
    assert 100 == len(bob.got)
    alice.restart()
    net.run(2)
    assert {"DELIVERED"} == set(alice.shown())


def test_the_server_may_die_and_another_goes_on():
    net = Net()
    server = net.server()
    bob, alice = net.client("bob").online(), net.client("alice").online()
    alice.send("bob", b"1", b"2")
    net.run(0.005)
    server.restart()
    net.run(40)
    assert [b"1", b"2"] == bob.got
    assert {"DELIVERED"} == set(alice.shown())


def test_an_unknown_recipient_is_rejected():
    net = Net()
    net.server()
    alice = net.client("alice").online()
    alice.send("nobody", b"1")
    net.run(1)
    assert ["REJECTED"] == alice.shown()


def test_nothing_is_said_before_the_disk_has_it():
    net = Net()
    server = net.server()
    bob, alice = net.client("bob").online(), net.client("alice").online()
    bob.node.close(net.now)
    net.run(1)
    server.store.held = True
    alice.send("bob", b"1")
    net.run(1)
    assert ["ACCEPTED"] == alice.shown()
    server.store.held = False
    net.run(1)
    assert ["STORED"] == alice.shown()


# --- Logins ---


def test_a_login_needs_the_hooks_yes():
    net = Net()
    server = net.server()
    server.verdict = lambda endpoint, secret: None if secret == b"pw" else "wrong token" * 20
    raw = dialled(net)
    raw.send(login(token=b"no"))
    net.run(0.5)
    (refused,) = raw.packets
    assert LoginCode.BAD_CREDENTIALS == refused.code
    assert refused.reason.startswith("wrong token")
    net.run(0.5)
    assert CloseCode.LOGIN_REFUSED == raw.connection.closed.code
    logged_in(net, token=b"pw")


def test_a_login_is_answered_once_it_is_durable():
    net = Net()
    server = net.server()
    server.settle()
    server.store.held = True
    raw = dialled(net)
    raw.send(login())
    net.run(1)
    assert [] == raw.packets
    server.store.held = False
    net.run(3)
    (ok,) = raw.packets
    assert (True, False) == (ok.durable, ok.queue_waiting)
    assert [SERVER] == [SERVER for _ in server.of(ev.SessionChanged)]


def test_a_memory_server_says_so():
    net = Net()
    net.server(MemoryStore())
    raw = dialled(net)
    raw.send(login())
    net.run(0.5)
    assert not raw.packets[0].durable


def test_a_store_that_fails_logs_nobody_in_and_takes_nobodys_place():
    net = Net()
    server = net.server(sessions_max=1)
    server.settle()
    server.store.fail = StoreError("s.db", "full")
    raw = dialled(net)
    raw.send(login())
    net.run(0.5)
    assert [LoginCode.BUSY] == [packet.code for packet in raw.packets]
    assert ["full"] == [event.error.words for event in server.of(ev.StoreFailed)]
    server.store.fail = None
    logged_in(net, "yan")


def test_a_login_that_nobody_waits_for_is_forgotten():
    net = Net()
    server = net.server()
    server.hold_logins = True
    raw = dialled(net)
    raw.send(login())
    net.run(0.2)
    raw.connection.close(0, "", net.now)
    net.run(2)
    server.answer()
    assert [] == server.of(ev.SessionChanged)


def test_a_connection_that_dies_during_the_commit_gets_no_session():
    net = Net()
    server = net.server()
    server.settle()
    server.store.held = True
    raw = dialled(net)
    raw.send(login())
    net.run(0.2)
    raw.connection.close(0, "", net.now)
    net.run(1)
    server.store.held = False
    net.run(1)
    assert [] == server.of(ev.SessionChanged)


def test_who_does_not_log_in_is_closed():
    net = Net()
    server = net.server(login_s_max=3.0)
    raw = dialled(net)
    net.run(3.1)
    assert CloseCode.LOGIN_REFUSED == raw.connection.closed.code
    net.run(5)
    assert (0, []) == (server.node.links, server.node.connections())


def test_a_second_login_displaces_the_first():
    net = Net()
    server = net.server()
    first = logged_in(net, "zoe", "z")
    second = dialled(net, "second")
    second.send(login(count=2))
    net.run(1)
    assert CloseCode.REPLACED == first.connection.closed.code
    assert second.open
    assert [True, False, True] == [event.online for event in server.of(ev.SessionChanged)]


def test_a_stale_store_may_try_again_on_the_same_connection():
    net = Net()
    net.server()
    logged_in(net)
    raw = dialled(net, "again")
    raw.send(login(count=1))
    net.run(0.3)
    assert [LoginCode.STALE_STORE] == [packet.code for packet in raw.packets]
    raw.send(login(incarnation=9, count=2))
    net.run(0.3)
    assert 1 == len(raw.of(p.LoginOk))


def test_a_copy_of_the_store_beside_its_session_is_stale_up_to_what_the_session_wrote():
    net = Net()
    net.server()
    writer = logged_in(net)
    writer.send(p.MsgR(1, ME, 1, (p.EpochRun(1, 1),), 0, encode_section(1, [7], [b"x"])))
    net.run(0.3)
    copy = dialled(net, "copy")
    copy.send(login(count=7))
    net.run(0.3)
    assert [LoginCode.STALE_STORE] == [packet.code for packet in copy.packets]
    assert writer.open, "who may be stale takes nobody's place"
    copy.send(login(count=8))
    net.run(0.3)
    assert 1 == len(copy.of(p.LoginOk))
    assert CloseCode.REPLACED == writer.connection.closed.code


def test_sessions_are_limited_but_a_session_may_be_taken_over():
    net = Net()
    net.server(sessions_max=1)
    logged_in(net)
    other = dialled(net, "other")
    other.send(login("yan", "y"))
    again = dialled(net, "again")
    again.send(login(count=2))
    net.run(0.5)
    assert [LoginCode.BUSY] == [packet.code for packet in other.packets]
    assert 1 == len(again.of(p.LoginOk))


def test_sessions_are_limited_even_when_all_log_in_at_once():
    net = Net()
    server = net.server(sessions_max=2)
    server.settle()
    server.store.held = True
    raws = [dialled(net, str(n)) for n in range(4)]
    for n, raw in enumerate(raws):
        raw.send(login(f"user{n}", "d"))
    net.run(0.5)
    server.store.held = False
    net.run(2)
    kinds = sorted(type(packet).__name__ for raw in raws for packet in raw.packets)
    assert ["LoginOk", "LoginOk", "LoginRefused", "LoginRefused"] == kinds


@pytest.mark.parametrize("leaves", ["after the login", "before its commit"])
def test_whoever_leaves_makes_room_for_another_session(leaves):
    net = Net()
    server = net.server(sessions_max=1)
    server.settle()
    server.store.held = leaves == "before its commit"
    first = dialled(net, "first")
    first.send(login("zoe", "d"))
    net.run(0.5)
    first.connection.close(CloseCode.NO_ERROR, "", net.now)
    net.run(0.5)
    server.store.held = False
    net.run(0.5)
    second = dialled(net, "second")
    second.send(login("yan", "d"))
    net.run(0.5)
    assert 1 == len(second.of(p.LoginOk))


def test_devices_of_a_user_are_limited_even_when_all_come_at_once():
    net = Net()
    server = net.server(devices_per_user_max=2)
    server.settle()
    server.store.held = True
    raws = [dialled(net, str(n)) for n in range(4)]
    for n, raw in enumerate(raws):
        raw.send(login("zoe", f"d{n}"))
    net.run(0.5)
    server.store.held = False
    net.run(2)
    kinds = sorted(type(packet).__name__ for raw in raws for packet in raw.packets)
    assert ["LoginOk", "LoginOk", "LoginRefused", "LoginRefused"] == kinds


# --- Sessions ---


@pytest.mark.parametrize("packet", [msg(1, b"x"), p.OfflineR(1000)], ids=["bulk", "control"])
def test_before_the_login_nothing_else_is_taken(packet):
    net = Net()
    server = net.server()
    dialled(net).send(packet)
    net.run(0.3)
    (connection,) = server.node.connections()
    assert {"IM packet not acceptable now"} == set(connection.drops)


def test_what_comes_with_a_login_is_routed_once_it_is_answered():
    net = Net()
    server = net.server()
    bob = logged_in(net, "bob", "b")
    zoe = logged_in(net)
    zoe.send(msg(1, b"to learn the epoch", epoch=0))
    net.run(0.1)
    epoch = zoe.of(p.Members)[0].epoch
    server.hold_logins = True
    raw = dialled(net, "again")
    raw.send(login(count=2), msg(1, b"with it", epoch=epoch))
    net.run(0.1)
    raw.send(msg(2, b"behind it", epoch=epoch), b"\x80 from the future")
    net.run(0.1)
    assert 0 < server.node.sizes()["early_bytes"] < 200
    assert [] == raw.packets
    server.answer()
    net.run(0.1)
    assert p.LoginOk is type(raw.packets[0])
    assert [((1, 2),)] == [packet.ranges for packet in raw.of(p.MsgA)]
    assert 0 == server.node.sizes()["early_bytes"]
    assert 1 == server.node.drops["IM packet of an unknown kind"]
    assert [1, 2] == [packet.section.first for packet in bob.of(p.MsgN)]


def test_what_comes_with_a_login_dies_with_it():
    net = Net()
    server = net.server()
    server.verdict = lambda endpoint, secret: "wrong"
    raw = dialled(net)
    raw.send(login(), msg(1, b"with it"))
    net.run(3)
    assert [p.LoginRefused] == [type(packet) for packet in raw.packets]
    assert (0, 0) == (server.node.links, server.node.sizes()["early_bytes"])


def test_what_no_session_may_say_ends_the_connection_when_it_came_with_the_login():
    net = Net()
    net.server()
    raw = dialled(net)
    raw.send(login(), msg(1, b"x", name=None, handle=9), msg(1, b"not routed"))
    net.run(0.2)
    assert CloseCode.PROTOCOL_ERROR == raw.connection.closed.code
    assert [] == raw.of(p.MsgA)


@pytest.mark.parametrize("limit", ["EARLY_BYTES_MAX", "EARLY_BYTES_TOTAL_MAX"])
def test_who_sends_too_much_with_a_login_is_told_to_come_again(monkeypatch, limit):
    monkeypatch.setattr(f"udpim.node.early.{limit}", 50)
    net = Net()
    server = net.server()
    raw = dialled(net)
    raw.send(login(), msg(1, b"x" * 100))
    net.run(0.2)
    assert CloseCode.SHUTDOWN == raw.connection.closed.code
    assert 1 <= server.node.hop_totals().drops["no room before the login"]
    assert 0 == server.node.sizes()["early_bytes"]


def test_one_login_at_a_time_is_checked():
    net = Net()
    server = net.server()
    server.hold_logins = True
    raw = dialled(net)
    raw.send(login())
    net.run(0.1)
    raw.send(login("yan"))
    net.run(0.1)
    assert 1 == len(server.unanswered)


def test_the_sender_is_the_sessions_identity():
    net = Net()
    net.server()
    bob = logged_in(net, "bob", "b")
    zoe = logged_in(net)
    zoe.send(msg(1, b"x", name=ME._replace(user="alice", device="a")))
    net.run(0.3)
    (push,) = bob.of(p.MsgN)
    assert ("zoe", "z") == (push.name.user, push.name.device)


def test_a_recipients_handle_is_no_way_to_write_as_the_sender():
    net = Net()
    server = net.server()
    bob = logged_in(net, "bob", "b")
    theirs = ME._replace(user="alice", device="a")
    bob.send(p.AckR(1, theirs, False, (), ()))
    net.run(0.1)
    bob.send(msg(1, b"forged", handle=1, name=None))
    net.run(0.1)
    assert any("IM packet not acceptable now" in c.drops for c in server.node.connections())


def test_one_pull_at_a_time():
    net = Net()
    server = net.server()
    bob = logged_in(net, "bob", "b")
    server.store.held = True
    bob.send(p.OfflineR(1), p.OfflineR(1))
    net.run(0.2)
    server.store.held = False
    net.run(3)
    assert [0] == [packet.total for packet in bob.of(p.OfflineA)]
    assert {"offline:R during another one": 1} == server.node.drops


def test_a_pull_that_outlives_its_session_is_answered_to_nobody():
    net = Net()
    server = net.server()
    bob = logged_in(net, "bob", "b")
    server.store.held = True
    bob.send(p.OfflineR(1))
    net.run(0.2)
    bob.connection.close(0, "", net.now)
    net.run(1)
    server.store.held = False
    net.run(1)
    assert [] == bob.of(p.OfflineA)


def test_a_client_too_far_behind_is_left_and_its_messages_are_kept():
    net = Net()
    server = net.server(hop_frames_max=1, send_queue_frames_max=100)
    bob, zoe = logged_in(net, "bob", "b"), logged_in(net)
    bob.takes = False
    first = 1
    while all(event.online for event in server.of(ev.SessionChanged)):
        zoe.send(*[msg(seq, b"x") for seq in range(first, first + 30)])
        net.run(0.05)
        first += 30
    queued = server.node.router.queue.find(Endpoint("bob", "b"), STREAM)
    assert [(1, first - 1)] == list(queued.messages)
    assert first > 1024, "the hop's window was full before"


def test_what_is_queued_for_a_session_that_has_ended_is_not_sent():
    net = Net()
    server = net.server()
    bob, zoe = logged_in(net, "bob", "b"), logged_in(net)
    zoe.send(msg(1, b"x"))
    zoe.connection.ping()
    for data, _ in zoe.drain():
        server.node.receive_datagrams([(data, zoe.address)], net.now)
    bob.connection.close(0, "", net.now)
    for data, _ in bob.drain():
        server.node.receive_datagrams([(data, bob.address)], net.now)
    net.run(1)
    assert [] == bob.of(p.MsgN)
    assert 1 == server.node.router.queue.count(Endpoint("bob", "b"))


def test_shutdown_says_goodbye_and_keeps_what_is_unreceipted():
    net = Net()
    server = net.server()
    bob, zoe = logged_in(net, "bob", "b"), logged_in(net)
    zoe.send(msg(1, b"x"))
    net.run(0.1)
    server.node.shutdown(net.now)
    net.run(1)
    assert [CloseCode.SHUTDOWN] * 2 == [raw.connection.closed.code for raw in (bob, zoe)]
    queued = server.store.load_server().queue
    assert [((1, 1),)] == [entry.messages for entry in queued]


def test_a_silent_client_is_forgotten():
    net = Net()
    server = net.server()
    raw = logged_in(net)
    net.drop = lambda source, to, data: True
    net.run(45)
    assert 0 == server.node.links
    assert server.node.next_timeout() >= TICK_S, "only its own age is left to look after"
    assert not raw.open


def test_garbage_is_counted_and_changes_nothing():
    net = Net()
    server = net.server()
    raw = logged_in(net)
    for data in (b"", b"\x01", b"\x01" + bytes(40), b"\x81", bytes(1200), b"\x01" * 20):
        server.receive(data, ("192.0.2.9", 1))
    server.timeout()
    raw.send(msg(1, b"x"))
    net.run(0.3)
    assert 1 == len(raw.of(p.Refuse))


def test_a_replayed_datagram_changes_nothing():
    net = Net()
    server = net.server()
    raw = logged_in(net)
    raw.send(msg(1, b"x"))
    ((data, _),) = raw.drain()
    for source in (raw.address, raw.address, ("192.0.2.9", 1)):
        server.receive(data, source)
    net.run(0.3)
    assert 1 == len(raw.of(p.Refuse))
    (connection,) = server.node.connections()
    assert raw.address == connection.path


def test_a_client_that_acks_what_was_never_sent_loses_its_session():
    net = Net()
    server = net.server()
    raw = logged_in(net)
    server.receive(raw.optimistic_ack(), raw.address)
    net.run(0.1)
    assert [True, False] == [event.online for event in server.of(ev.SessionChanged)]
    assert CloseCode.PROTOCOL_ERROR == raw.connection.closed.code


def test_secrets_and_epoch_outlive_the_process():
    net = Net()
    server = net.server()
    server.settle()
    epoch = server.node.router.store_epoch
    server.restart()
    assert epoch == server.node.router.store_epoch
    assert server.node.next_effect() is None
    server.boot(DurableStore())
    assert epoch != server.node.router.store_epoch


@pytest.mark.parametrize("error", [StoreFull("s.db", "no room"), StoreError("s.db", "broken")])
def test_a_server_whose_epoch_was_not_written_promises_nothing(error):
    net = Net()
    server = net.server()
    server.store.held = True
    raw = dialled(net)
    raw.send(login())
    net.run(0.5)
    server.store.fail_next = error  # of the epoch; the login behind it would be written
    server.store.held = False
    raw.send(login())
    net.run(1)
    assert [] == raw.packets
    assert [] == server.of(ev.SessionChanged)
    assert [True] == [event.is_final for event in server.of(ev.StoreFailed)]
    assert server.node.next_effect() is None


def test_a_full_disk_later_on_is_not_the_end():
    net = Net()
    server = net.server()
    server.settle()
    server.store.fail = StoreFull("s.db", "no room")
    raw = dialled(net)
    raw.send(login())
    net.run(0.5)
    assert [LoginCode.BUSY] == [packet.code for packet in raw.packets]
    assert [False] == [event.is_final for event in server.of(ev.StoreFailed)]


# --- What a report counts ---


def test_a_refusal_of_the_hook_may_be_for_now_only():
    net = Net()
    server = net.server()
    server.hold_logins = True
    raw = dialled(net)
    raw.send(login())
    net.run(0.1)
    (asked,) = server.unanswered
    server.node.on_authenticated(asked.token, "later", net.now, busy=True)
    net.run(0.1)
    assert [(LoginCode.BUSY, "later")] == [(r.code, r.reason) for r in raw.packets]


def test_a_closed_connection_repeats_its_close_to_who_did_not_hear():
    net = Net()
    server = net.server()
    raw = logged_in(net)
    net.drop = lambda source, to, data: source == SERVER
    server.node.shutdown(net.now)
    net.run(0.02)
    net.drop = lambda source, to, data: False
    raw.send(msg(1, b"x"))
    net.run(0.2)
    assert CloseCode.SHUTDOWN == raw.connection.closed.code


def test_counters_outlive_their_connections():
    net = Net()
    server = net.server()
    raw = logged_in(net)
    before = server.node.hop_totals().stats.datagrams_sent
    assert before > 0
    raw.connection.close(0, "", net.now)
    net.run(1)
    assert 0 == server.node.links
    server.receive(b"\x01" * 40, ("192.0.2.9", 1))
    assert before <= server.node.hop_totals().stats.datagrams_sent
    assert {"unknown connection id": 1} == server.node.listener.drops


def test_what_a_slow_recipient_costs_is_told():
    net = Net()
    server = net.server()
    bob, alice = net.client("bob", store=MemoryStore()).online(), net.client("alice").online()
    bob.handles = False

    def looks():
        router = server_stats(server.node)["router"]
        return [router[key] for key in ("pushed_messages", "held_bytes", "queued_messages")]

    assert [0, 0, 0] == looks()
    alice.send("bob", bytes(1000), bytes(2000))
    net.run(1)
    assert [2, 0, 0] == looks()
    assert 3000 <= server_stats(server.node)["router"]["pushed_bytes"] <= 3200
    bob.node.close(net.now)
    net.run(1)
    assert [0, 0, 2] == looks()
    assert 0 == server.node.router.delivery.pushed_bytes


# --- More streams than fit one connection (PROTOCOL §4.3) ---

FEW = 8192
"""The least that may be configured."""


def receipt(handle, incarnation):
    return p.AckR(handle, StreamId("alice", "a", incarnation, "zoe"), False, ((1, 1),), ())


def test_a_client_that_names_too_many_streams_is_told_so():
    net = Net()
    net.server(streams_per_session_max=FEW)
    raw = logged_in(net)
    for first in range(1, FEW + 2, 512):
        count = min(512, FEW + 1 - first)
        raw.send(*[receipt(first + n, first + n) for n in range(count)])
        net.run(0.3)
    assert raw.open
    raw.send(receipt(1, 1), receipt(FEW, FEW))
    net.run(0.3)
    assert raw.open
    raw.send(receipt(FEW + 1, FEW + 1))
    net.run(0.3)
    assert CloseCode.TOO_MANY_STREAMS == raw.connection.closed.code
    logged_in(net, count=2)


def test_a_session_that_the_server_would_have_to_name_too_many_streams_to_ends():
    net = Net()
    server = net.server(streams_per_session_max=FEW)
    raw = logged_in(net)
    (session,) = server.node.router.sessions.values()
    for n in range(FEW):
        session.outbound.of(StreamId("alice", "a", n, "zoe"))
    session.send(p.Nudge())
    server.settle()
    net.run(0.3)
    assert raw.open
    handle, name = session.outbound.of(StreamId("alice", "a", FEW, "zoe"))
    session.send(p.StatusN(handle, name, 1, 1))
    server.settle()
    net.run(0.3)
    assert CloseCode.TOO_MANY_STREAMS == raw.connection.closed.code
    assert [] == raw.of(p.StatusN)
    assert not server.node.router.sessions


def test_what_overtook_the_end_of_a_handshake_is_taken_after_it():
    net = Net()
    server = net.server()
    early = [(b"\x01" + bytes(40), ("192.0.2.77", 1))]
    server.node.listener.early_datagrams = lambda: [early.pop()] if early else []
    dialled(net)
    (connection,) = server.node.connections()
    assert [] == early
    assert 1 == sum(connection.drops.values())
