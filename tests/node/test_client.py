"""A client node: login, loss and return of the link, what it takes from a server and what not."""

import copy

import pytest

from tests.node.harness import (
    BOB,
    DELAY_S,
    SERVER,
    Client,
    Net,
    RawServer,
    Server,
    endpoint,
    message,
    with_raw_server,
)
from udpim.errors import LocalProtocolError
from udpim.hop.codes import CloseCode, ConnectionState
from udpim.model import LoginCode, MessageState
from udpim.node import events as ev
from udpim.node.state import LinkState
from udpim.store.state import StoreState
from udpim.wire import im_packets as p
from udpim.wire.packet import Reset, VersionOffer, encode_long, parse_long

UNKNOWN_KIND = b"\x80 from the future"
MALFORMED = b"\x01\xff"
NOT_NOW = "IM packet not acceptable now"


def verdict(stream, *delivered, name=True):
    return p.AckN(1, stream.id if name else None, 0, 1, 7, delivered, (), (), ())


# --- Login ---


def test_login_leads_over_every_state_to_online():
    net = Net()
    server = Server(net)
    client = Client(net).login()
    assert [("DIALING", 0), ("LOGGING_IN", 0), ("ONLINE", 0)] == client.links
    net.run(1)
    assert {"alice/phone"} == server.sessions
    assert server.node.router.store_epoch == client.node.store_epoch


def test_nothing_is_said_before_the_count_of_the_login_is_durable():
    net = Net()
    server = Server(net)
    client = Client(net)
    client.store.hold()
    client.dial()
    net.run(2)
    assert (LinkState.LOGGING_IN, []) == (client.node.state, server.asked)
    client.store.release()
    net.run(1)
    assert client.online
    assert (1).to_bytes(8, "big") == client.store.load_client().meta["login_count"]


def test_a_login_whose_connection_is_gone_before_its_commit_says_nothing():
    net = Net()
    raw = RawServer(net)
    client = Client(net)
    client.store.hold()
    client.dial()
    net.run(1)
    raw.last.close(CloseCode.SHUTDOWN, "bye", net.now)
    raw.mute = False
    net.until(lambda: client.node.state is LinkState.WAITING)
    client.store.release()
    net.flush()
    assert [] == raw.got


@pytest.mark.parametrize("code", [LoginCode.BAD_CREDENTIALS, LoginCode.REPLACED, 999])
def test_a_refusal_that_says_nothing_of_later_is_final(code):
    net, raw, client = with_raw_server(online=False)
    raw.say(p.LoginRefused(code, "no"))
    net.run(60)
    assert ("CLOSED", code) == client.links[-1]
    assert client.last_link().login_refused
    assert CloseCode.LOGIN_REFUSED == raw.last.closed.code
    assert 1 == len(raw.connections)
    assert client.node.next_timeout() is None


def test_wrong_credentials_end_the_client_with_the_servers_words():
    net = Net()
    server = Server(net)
    server.verdict = lambda effect: "never heard of you"
    client = Client(net, token=b"guess").dial()
    net.run(60)
    last = client.last_link()
    assert (LinkState.CLOSED, "never heard of you", True) == (
        last.state,
        last.reason,
        last.login_refused,
    )
    assert [b"guess"] == [effect.secret for effect in server.asked]


def test_a_busy_server_is_asked_again_later():
    net = Net()
    server = Server(net)
    server.verdict = lambda effect: "come back later"
    server.busy = True
    client = Client(net).dial()
    net.run(20)
    assert 2 < client.links.count(("WAITING", CloseCode.LOGIN_REFUSED)) == len(server.asked)
    server.verdict = lambda effect: None
    net.until(lambda: client.online)


def test_a_stale_store_logs_in_again_as_a_new_incarnation_on_the_same_connection():
    net = Net()
    server = Server(net)
    state = StoreState()
    Client(net, state=state).login().node.close(net.now)
    backup = copy.deepcopy(state)
    Client(net, state=state).login().node.close(net.now)
    net.run(1)
    restored = Client(net, state=backup)
    old = restored.node.outbox.incarnation
    stream, _ = restored.send("bob", b"written before the login")
    restored.login()
    device = server.node.router.registry.get(endpoint("alice/phone"))
    assert old != device.incarnation == restored.node.outbox.incarnation
    assert (old,) == device.retired
    assert 1 == restored.links.count(("LOGGING_IN", 0))
    assert device.incarnation == stream.id.incarnation
    assert [event.streams[0].old.incarnation for event in restored.of(ev.StreamsReborn)] == [old]
    assert restored.store.load_client().meta["incarnation"] == device.incarnation.to_bytes(8, "big")


def test_another_login_of_the_device_ends_this_one_for_good():
    net = Net()
    server = Server(net)
    first = Client(net, state=StoreState()).login()
    second = Client(net, state=StoreState()).login()
    net.run(60)
    assert ("CLOSED", CloseCode.REPLACED) == first.links[-1]
    assert not first.last_link().login_refused
    assert second.online
    assert {"alice/phone"} == server.sessions


# --- The end of a connection, and the next one ---


def test_a_server_that_forgot_us_is_dialled_again_at_once():
    net, raw, client = with_raw_server()
    raw.forget()
    client.send("bob", b"hello?")
    net.until(lambda: ("WAITING", CloseCode.RESET) in client.links)
    lost_at = net.now
    net.until(lambda: client.online)
    assert net.now - lost_at < 0.1
    assert 1 == len(raw.connections)


def test_only_the_first_dial_after_a_reset_comes_at_once():
    net, raw, client = with_raw_server(reconnect_s_min=20.0)
    raw.welcome = False
    raw.forget()
    client.send("bob", b"hello?")
    net.until(lambda: client.links.count(("LOGGING_IN", 0)) == 2)
    raw.forget()
    net.run(2)
    token = client.node.connection.parameters.reset_token
    reset = Reset(cid=client.node.connection.remote_cid, token=token)
    net.transmit(SERVER, client.address, encode_long(reset))
    net.until(lambda: client.links.count(("WAITING", CloseCode.RESET)) == 2)
    assert LinkState.WAITING is client.node.state
    assert client.node.next_timeout() > net.now


def test_a_restarted_server_gets_its_sessions_back():
    net = Net()
    server = Server(net)
    phone, tablet = Client(net).login(), Client(net, "alice/tablet").login()
    server.start()
    stream, seq = phone.send("alice", b"to myself")
    net.until(lambda: stream.state(seq) is MessageState.DELIVERED)
    assert {"alice/phone", "alice/tablet"} == server.sessions
    assert ([], [b"to myself"]) == (phone.received, tablet.received)


def test_a_reset_with_a_wrong_token_or_for_another_connection_changes_nothing():
    net, raw, client = with_raw_server()
    cid = client.node.connection.remote_cid
    for id_ in (cid, b"other id"):
        reset = Reset(cid=id_, token=b"guessed token 16")
        net.transmit(SERVER, client.address, encode_long(reset))
    net.transmit(SERVER, client.address, b"\x81 not a packet of any kind")
    net.run(1)
    assert client.online
    assert {"wrong reset token": 1} == client.hop_drops()
    assert {"unexpected handshake packet": 2} == client.node.drops
    assert ConnectionState.OPEN is raw.last.state


def test_what_comes_while_we_wait_for_the_next_dial_does_no_harm():
    net, raw, client = with_raw_server(reconnect_s_min=1e6, reconnect_s_max=1e6)
    raw.last.close(CloseCode.SHUTDOWN, "going down", net.now)
    net.until(lambda: client.node.state is LinkState.WAITING)
    assert ConnectionState.CLOSED is client.node.connection.state
    before = list(client.links)
    net.transmit(SERVER, client.address, b"\x01" + bytes(40))
    client.node.handle_timeout(net.now)
    net.run(30)
    assert before == client.links
    assert {"closed": 1} == client.hop_drops()


def test_the_close_of_a_lost_link_is_repeated_to_a_server_that_still_sends():
    net, raw, client = with_raw_server(online=False, reconnect_s_min=1e6, reconnect_s_max=1e6)
    net.drop = lambda source, destination, data: source == client.address
    raw.say(p.LoginRefused(LoginCode.BUSY, "no"))
    net.until(lambda: client.node.state is LinkState.WAITING)
    net.run(0.1)
    net.drop = lambda source, destination, data: False
    assert ConnectionState.OPEN is raw.last.state
    raw.last.ping()
    net.run(0.1)
    assert CloseCode.NO_ERROR == raw.last.closed.code


def test_back_off_doubles_up_to_its_limit_and_is_drawn_from_all_of_it():
    net = Net()
    client = Client(net, reconnect_s_min=0.5, reconnect_s_max=8.0).dial()
    shares = []
    for attempt in range(60):
        net.until(lambda: client.node.state is LinkState.WAITING)
        waiting_since = net.now
        net.until(lambda: client.node.state is LinkState.DIALING)
        ceiling = min(8.0, 0.5 * 2**attempt)
        shares.append((net.now - waiting_since) / ceiling)
    assert 0 <= min(shares) < 0.1
    assert 0.9 < max(shares) <= 1
    assert 0.35 < sum(shares) / len(shares) < 0.65


def test_a_login_that_succeeds_forgets_the_failures_before_it():
    net = Net()
    client = Client(net, reconnect_s_min=0.5, reconnect_s_max=1000.0).dial()
    net.until(lambda: len(client.links) > 30, 100_000)
    server = Server(net)
    net.until(lambda: client.online, 2000)
    server.node.shutdown(net.now)
    net.until(lambda: client.node.state is LinkState.WAITING)
    assert client.node.next_timeout() <= net.now + 0.5


def test_a_server_that_never_answers_a_hello_is_given_up_in_time():
    net = Net()
    client = Client(net, hello_s_max=5.0).dial()
    began = net.now
    net.until(lambda: client.node.state is LinkState.WAITING)
    assert began + 5.0 == net.now
    last = client.last_link()
    assert (CloseCode.DEAD, "no answer while dialing") == (last.code, last.reason)


def test_after_a_loss_the_next_address_is_dialled_and_then_the_first_again():
    net = Net()
    client = Client(net)
    others = [("198.51.100.9", 1), ("198.51.100.9", 2)]
    client.node.connect(others[0], net.now, others[1], SERVER)
    client.run_node(client.node)
    dialled = []
    for _ in range(4):
        net.until(lambda: client.node.state is LinkState.DIALING)
        dialled.append(client.node._dialer.server)
        net.until(lambda: client.node.state is LinkState.WAITING)
    assert [*others, SERVER, others[0]] == dialled


def test_the_address_that_answers_is_found():
    net = Net()
    Server(net)
    client = Client(net)
    client.node.connect(("198.51.100.9", 1), net.now, SERVER)
    client.run_node(client.node)
    net.until(lambda: client.online)


def test_after_a_reset_the_same_address_is_dialled():
    net = Net()
    raw = RawServer(net)
    client = Client(net)
    client.node.connect(SERVER, net.now, ("198.51.100.9", 1))
    client.run_node(client.node)
    net.until(lambda: client.online)
    raw.forget()
    client.send("bob", b"hello?")
    net.until(lambda: ("WAITING", CloseCode.RESET) in client.links)
    net.until(lambda: client.online)


def test_a_login_that_is_never_answered_is_given_up_in_time():
    net, raw, client = with_raw_server(online=False, login_s_max=10.0)
    net.until(lambda: client.node.state is LinkState.WAITING)
    last = client.last_link()
    assert (CloseCode.DEAD, "no answer while logging in") == (last.code, last.reason)
    net.run(0.2)
    assert raw.connections[next(iter(raw.connections))].closed.by_peer


def test_a_server_of_other_versions_is_an_error_and_is_tried_again():
    net = Net()
    client = Client(net).dial()
    net.flush()
    hello = parse_long(net.sent[0][2])
    offer = VersionOffer(destination_cid=hello.source_cid, source_cid=bytes(8), versions=(7,))
    net.transmit(SERVER, client.address, encode_long(offer))
    net.run(0.02)
    last = client.of(ev.LinkChanged)[1]
    assert (LinkState.WAITING, CloseCode.PROTOCOL_ERROR) == (last.state, last.code)
    assert "other protocol versions (7)" in last.reason
    net.until(lambda: client.links.count(("DIALING", 0)) == 2)


def test_a_server_that_goes_down_is_found_again():
    net = Net()
    server = Server(net)
    client = Client(net).login()
    server.node.shutdown(net.now)
    net.until(lambda: ("WAITING", CloseCode.SHUTDOWN) in client.links)
    net.until(lambda: client.online)


def test_silence_ends_the_connection_and_the_next_one_sends_everything_open():
    net = Net()
    Server(net)
    bob = Client(net, "bob/phone").login()
    alice = Client(net).login()
    net.drop = lambda source, destination, data: alice.address in (source, destination)
    stream, seq = alice.send("bob", b"through")
    net.until(lambda: alice.node.state is LinkState.WAITING)
    net.drop = lambda source, destination, data: False
    net.until(lambda: stream.state(seq) is MessageState.DELIVERED)
    assert [b"through"] == bob.received


def test_counters_of_earlier_dialers_and_connections_stay_in_the_totals():
    net, raw, client = with_raw_server()
    raw.say(MALFORMED)
    net.run(0.02)
    refused = client.hop_drops()["malformed IM packet"]
    sent = client.node.hop_totals().stats.datagrams_sent
    raw.forget()
    client.send("bob", b"hello?")
    net.until(lambda: client.node.state is LinkState.DIALING)
    net.transmit(SERVER, client.address, b"\x01 a stray packet of some size")
    net.drop = lambda source, destination, data: True
    net.run(0.02)
    net.drop = lambda source, destination, data: False
    in_dialer = client.hop_drops()
    assert refused + 1 == sum(in_dialer.values())
    net.until(lambda: client.online)
    assert in_dialer == client.hop_drops()
    assert refused == in_dialer["malformed IM packet"]
    present = client.node.connection.stats.datagrams_sent
    assert sent < sent + present <= client.node.hop_totals().stats.datagrams_sent


# --- Commands in the wrong state, and the end ---


def test_connecting_is_done_once():
    net, raw, client = with_raw_server(reconnect_s_min=1e6, reconnect_s_max=1e6)
    with pytest.raises(LocalProtocolError, match="cannot connect while online"):
        client.dial()
    raw.last.close(CloseCode.SHUTDOWN, "", net.now)
    net.until(lambda: client.node.state is LinkState.WAITING)
    with pytest.raises(LocalProtocolError, match="cannot connect while waiting"):
        client.dial()
    client.node.close(net.now)
    with pytest.raises(LocalProtocolError, match="cannot connect while closed"):
        client.dial()


def test_closing_says_goodbye_once_and_leaves_the_outbox_as_it_is():
    net = Net()
    server = Server(net)
    client = Client(net).login()
    stream, seq = client.send("bob", b"for later")
    client.node.close(net.now)
    client.node.close(net.now)
    net.run(60)
    assert (LinkState.CLOSED, MessageState.PENDING) == (client.node.state, stream.state(seq))
    assert set() == server.sessions
    assert b"for later" == client.store.load_client().outbox[0].payload


def test_a_client_may_be_closed_before_it_was_ever_connected():
    client = Client(Net())
    client.node.close(0.0)
    assert [("CLOSED", CloseCode.NO_ERROR)] == [
        (event.state.name, event.code) for event in iter(client.node.next_event, None)
    ]
    assert client.node.next_timeout() is None


def test_an_attempt_that_is_closed_sends_nothing_more():
    net = Net()
    client = Client(net).dial()
    net.flush()
    client.node.close(net.now)
    sent = len(net.sent)
    net.run(30)
    assert sent == len(net.sent)


def test_datagrams_without_a_connection_are_counted():
    net, _, client = with_raw_server()
    client.node.receive_datagrams([(b"", SERVER)], net.now)
    stranger = Client(net, "carol/phone")
    stranger.node.receive_datagrams([(b"\x01 hello", SERVER)], net.now)
    assert {"no connection": 1} == client.node.drops == stranger.node.drops


def test_a_client_never_reads_a_queue():
    with pytest.raises(AssertionError, match="reads no queue"):
        Client(Net()).node.on_queue_read(1, (), 0.0)


# --- The store ---


def test_a_store_that_fails_ends_the_client_and_the_server_hears_of_it():
    net, raw, client = with_raw_server()
    client.store.fails = True
    client.send("bob", b"lost")
    net.run(1)
    (failed,) = client.of(ev.StoreFailed)
    assert "no space left" in str(failed.error)
    assert ("CLOSED", CloseCode.STORE_FAILED) == client.links[-1]
    assert CloseCode.STORE_FAILED == raw.last.closed.code
    assert not any(isinstance(packet, p.MsgR) for packet in raw.got)


def test_one_failure_of_the_store_is_told_once():
    net, _, client = with_raw_server()
    client.store.hold()
    for payload in (b"one", b"two"):
        client.send("bob", payload)
        net.flush()
    client.store.fails = True
    client.store.release()
    net.run(1)
    assert 1 == len(client.of(ev.StoreFailed)) == client.links.count(("CLOSED", 5))


def test_a_message_leaves_only_after_its_commit():
    net, raw, client = with_raw_server()
    client.store.hold()
    stream, seq = client.send("bob", b"hi")
    net.run(2)
    assert not any(isinstance(packet, p.MsgR) for packet in raw.got)
    client.store.release()
    net.run(1)
    assert [(stream, seq)] == client.of(ev.OutboxCommitted)[0].streams
    assert any(isinstance(packet, p.MsgR) for packet in raw.got)


def test_what_was_written_before_the_login_leaves_after_the_mark_is_durable():
    net, raw, client = with_raw_server(online=False)
    client.send("bob", b"hi")
    net.run(1)
    client.store.hold()
    raw.say(p.LoginOk(7, True, False, 1000, 1024))
    net.until(lambda: client.online)
    net.run(1)
    assert not any(isinstance(packet, p.MsgR) for packet in raw.got)
    client.store.release()
    net.run(1)
    assert any(isinstance(packet, p.MsgR) for packet in raw.got)


def test_a_link_that_is_lost_before_the_mark_is_durable_sends_nothing():
    net, raw, client = with_raw_server(online=False, reconnect_s_min=900.0, reconnect_s_max=900.0)
    client.send("bob", b"hi")
    net.run(1)
    client.store.hold()
    raw.say(p.LoginOk(7, True, False, 1000, 1024))
    net.until(lambda: client.online)
    raw.last.close(CloseCode.SHUTDOWN, "going down", net.now)
    net.until(lambda: client.node.state is LinkState.WAITING)
    client.store.release()
    net.run(1)
    assert not any(isinstance(packet, p.MsgR) for packet in raw.got)


def test_a_verdict_for_a_seq_that_was_never_used_proves_a_rolled_back_store():
    net, raw, client = with_raw_server()
    stream, _ = client.send("bob", b"hi")
    net.run(1)
    old = client.node.outbox.incarnation
    raw.say(verdict(stream, (1, 50)))
    net.until(lambda: client.node.state is LinkState.WAITING)
    assert "old copy" in client.last_link().reason
    net.until(lambda: client.online)
    logins = [packet for packet in raw.got if isinstance(packet, p.Login)]
    assert [old, client.node.outbox.incarnation] == [login.incarnation for login in logins]
    assert old != client.node.outbox.incarnation


# --- Packets from the server ---


def test_six_packets_make_a_receipt():
    net = Net()
    Server(net)
    alice, bob = Client(net).login(), Client(net, "bob/phone").login()
    stream, seq = alice.send("bob", b"one", b"two")
    net.until(lambda: stream.state(seq + 1) is MessageState.DELIVERED)
    assert [b"one", b"two"] == bob.received
    net.run(1)
    assert 1 <= bob.node.receipts_acknowledged
    shown = [change.state for event in alice.of(ev.ReceiptsChanged) for change in event.changes]
    assert [MessageState.ACCEPTED, MessageState.DELIVERED] == list(dict.fromkeys(shown))


def test_what_waited_offline_arrives_after_the_login():
    net = Net()
    server = Server(net)
    bob = Client(net, "bob/phone").login()
    bob.node.close(net.now)
    alice = Client(net).login()
    stream, seq = alice.send("bob", b"later")
    net.until(lambda: stream.state(seq) is MessageState.STORED)
    back = Client(net, "bob/phone", state=bob.store.state).login()
    net.until(lambda: stream.state(seq) is MessageState.DELIVERED)
    assert [b"later"] == back.received
    assert [(seq, seq)] == [(notice.first, notice.last) for notice in server.notices]


def test_a_given_up_message_becomes_void_when_its_recipient_says_so():
    net = Net()
    Server(net)
    bob = Client(net, "bob/phone").login()
    bob.node.close(net.now)
    alice = Client(net).login()
    stream, seq = alice.send("bob", b"never mind", ttl_s=5.0)
    net.until(lambda: stream.state(seq) is MessageState.UNKNOWN)
    back = Client(net, "bob/phone", state=bob.store.state).login()
    net.until(lambda: stream.state(seq) is MessageState.VOID)
    assert [] == back.received


def test_a_refused_message_shows_why():
    net = Net()
    Server(net)
    alice = Client(net).login()
    stream, seq = alice.send("nobody", b"hi")
    net.until(lambda: stream.state(seq) is MessageState.REJECTED)


@pytest.mark.parametrize("order", [lambda x: x, lambda x: x[::-1]], ids=["last", "first"])
def test_a_malformed_packet_is_refused_with_everything_beside_it(order):
    net, raw, client = with_raw_server()
    raw.say(*order([message(), MALFORMED]))
    net.run(3)
    assert 2 <= client.hop_drops()["malformed IM packet"]
    assert 2 == raw.last.in_flight_frames
    assert [] == client.received


def test_an_unknown_kind_is_skipped_and_what_is_beside_it_is_taken():
    net, raw, client = with_raw_server()
    raw.say(UNKNOWN_KIND, message())
    net.run(1)
    assert {"IM packet of an unknown kind": 1} == client.node.drops
    assert 0 == raw.last.in_flight_frames
    assert [b"hi"] == client.received


def test_messages_before_the_login_is_answered_stay_untaken_until_it_is():
    net, raw, client = with_raw_server(online=False)
    raw.say(message())
    net.run(1)
    assert 1 <= client.hop_drops()[NOT_NOW]
    assert 1 == raw.last.in_flight_frames
    raw.say(p.LoginOk(7, True, False, 1000, 1024))
    net.run(3)
    assert 0 == raw.last.in_flight_frames
    assert [b"hi"] == client.received


def test_what_follows_the_welcome_in_its_packet_is_taken():
    net, raw, client = with_raw_server(online=False)
    raw.say(p.LoginOk(7, True, True, 1000, 1024), message())
    net.run(0.1)
    assert [b"hi"] == client.received
    assert {} == client.hop_drops()
    assert any(isinstance(packet, p.OfflineR) for packet in raw.got)


@pytest.mark.parametrize("welcome", [(), (p.LoginOk(7, True, False, 1000, 1024),)])
@pytest.mark.parametrize("code", [LoginCode.BUSY, LoginCode.BAD_CREDENTIALS])
def test_nothing_may_follow_a_refused_login_in_its_packet(code, welcome):
    net, raw, client = with_raw_server(online=False)
    stream, _ = client.send("bob", b"hi")
    raw.say(p.LoginRefused(code, "no"), *welcome, verdict(stream, (1, 50)))
    net.run(1)
    assert LinkState.LOGGING_IN is client.node.state
    assert 1 <= client.hop_drops()[NOT_NOW]


@pytest.mark.parametrize(
    "packet",
    [p.LoginOk(7, True, False, 1000, 1024), p.LoginRefused(1, "no"), p.OfflineR(1)],
    ids=lambda packet: type(packet).__name__,
)
def test_a_client_that_is_online_takes_no_packet_of_another_place(packet):
    net, raw, client = with_raw_server()
    raw.say(packet)
    net.run(1)
    assert client.online
    assert 1 == raw.last.in_flight_frames
    assert 1 <= client.hop_drops()[NOT_NOW]


def test_a_handle_is_not_taken_before_its_name():
    net, raw, client = with_raw_server()
    raw.say(message(name=None))
    net.run(1)
    assert [] == client.received
    assert 1 == raw.last.in_flight_frames
    raw.say(message(2, b"second"))
    net.run(3)
    assert [b"hi", b"second"] == client.received


def test_a_verdict_by_an_unknown_handle_is_not_taken():
    net, raw, client = with_raw_server()
    stream, _ = client.send("bob", b"hi")
    net.run(1)
    raw.say(verdict(stream, (1, 1), name=False))
    net.run(1)
    assert 1 == raw.last.in_flight_frames
    assert 1 <= client.hop_drops()[NOT_NOW]


def test_a_verdict_on_somebody_elses_stream_is_dropped():
    net, raw, client = with_raw_server()
    raw.say(p.AckN(1, BOB, 0, 1, 7, ((1, 1),), (), (), ()))
    net.run(1)
    assert {"receipt for an unknown stream": 1} == client.node.drops
    assert 0 == raw.last.in_flight_frames


def test_a_run_above_the_window_is_not_taken():
    net, raw, client = with_raw_server()
    raw.say(message(1025))
    net.run(1)
    assert 1 == raw.last.in_flight_frames
    raw.say(message(1))
    net.run(5)
    assert 0 == raw.last.in_flight_frames
    assert [b"hi"] == client.received


def test_messages_are_held_back_while_the_application_has_enough():
    net, raw, client = with_raw_server(inbox_bytes_max=10)
    client.handling = False
    raw.say(message(1, b"ten bytes!"), p.Nudge())
    net.run(0.1)
    raw.say(message(2, b"more"))
    net.run(1)
    assert [b"ten bytes!"] == client.received
    client.node.handled(BOB, 1, 10)
    net.run(5)
    assert [b"ten bytes!", b"more"] == client.received


def test_an_empty_queue_ends_the_pull():
    net, raw, _ = with_raw_server()
    raw.say(p.Nudge())
    net.run(1)
    raw.say(p.OfflineA(0, None, 1, 0, False, 1, 1, (), None))
    net.run(1)
    assert 1 == sum(isinstance(packet, p.OfflineR) for packet in raw.got)
    raw.say(p.Nudge())
    net.run(1)
    assert 2 == sum(isinstance(packet, p.OfflineR) for packet in raw.got)


# --- More streams than fit one connection (PROTOCOL §4.3) ---

FEW = 8192
"""The least that may be configured."""


def test_a_server_that_names_too_many_streams_is_told_so_and_dialled_again():
    net, raw, client = with_raw_server(streams_per_session_max=FEW)
    for first in range(1, FEW + 1, 512):
        names = [(n, BOB._replace(incarnation=n)) for n in range(first, first + 512)]
        raw.say(*[p.AckN(n, name, 0, 1, 1, (), (), (), ()) for n, name in names])
        net.run(0.3)
    assert LinkState.ONLINE is client.node.state
    connection = raw.last
    raw.say(p.AckN(FEW + 1, BOB, 0, 1, 1, (), (), (), ()))
    net.run(0.3)
    assert CloseCode.TOO_MANY_STREAMS == connection.closed.code
    net.until(lambda: client.node.state is LinkState.ONLINE)
    assert raw.last is not connection


def test_a_client_that_would_have_to_name_too_many_streams_dials_again_and_goes_on():
    net, raw, client = with_raw_server(streams_per_session_max=FEW)
    connection = raw.last
    users = [f"user{n}" for n in range(FEW + 1)]
    for user in users:
        client.send(user, b"hi")
    net.until(lambda: raw.last is not connection, 60)
    assert CloseCode.TOO_MANY_STREAMS == connection.closed.code
    net.until(lambda: client.node.state is LinkState.ONLINE)
    net.run(0.1)
    named = {x.name.conversation for x in raw.got if isinstance(x, p.MsgR) and x.name is not None}
    assert set(users) == named


def test_the_rest_waits_in_the_outbox_while_the_hop_has_enough():
    net = Net()
    Server(net)
    alice, bob = Client(net, hop_bytes_max=1000).login(), Client(net, "bob/phone").login()
    payloads = [bytes([n]) * 50_000 for n in range(30)]
    most = [0]

    def arrived():
        most[0] = max(most[0], alice.node.connection.queued_bulk_bytes)
        return bob.received == payloads

    alice.send("bob", *payloads)
    net.until(arrived)
    assert 0 < most[0] < 1000 + 20 * 50_000


# --- What leaves together with the login ---


def reconnecting(*payloads, welcome=True, **more):
    """A client that the server knows, without a link, with these messages in its outbox."""
    net, raw, client = with_raw_server(reconnect_s_min=5.0, **more)
    raw.last.close(CloseCode.SHUTDOWN, "going down", net.now)
    net.until(lambda: client.node.state is LinkState.WAITING)
    stream, _ = client.send("bob", *payloads)
    raw.welcome = welcome
    raw.got.clear()
    return net, raw, client, stream


def seqs_of(packets):
    return [packet.section.first for packet in packets if isinstance(packet, p.MsgR)]


def test_what_is_open_leaves_with_the_login_of_a_client_that_the_server_knows():
    net, raw, client, _ = reconnecting(b"hi", welcome=False)
    net.until(lambda: raw.got)
    net.run(0.001)
    assert [p.Login, p.MsgR] == [type(packet) for packet in raw.got]
    client.send("bob", b"later")
    net.run(0.3)
    assert [1] == sorted(set(seqs_of(raw.got))), "what comes later waits for the answer"
    raw.say(p.LoginOk(7, True, False, 1000, 1024))
    net.run(0.3)
    assert [1, 2] == sorted(set(seqs_of(raw.got)))


def test_the_first_answer_to_a_message_comes_two_round_trips_after_the_first_packet():
    net = Net()
    server = Server(net)
    client, bob = Client(net).login(), Client(net, "bob/phone").login()
    client.send("bob", b"to meet")
    net.run(2)
    server.node.shutdown(net.now)
    net.until(lambda: client.node.state is LinkState.WAITING)
    stream, seq = client.send("bob", b"hi")
    net.until(lambda: client.node.state is LinkState.DIALING)
    began = net.now
    net.until(lambda: stream.state(seq) >= MessageState.ACCEPTED)
    flights = round((net.now - began) / DELAY_S)
    assert 4 == flights, "HELLO, WELCOME, login with msg:R, its answer with msg:A"
    net.until(lambda: b"hi" in bob.received)


def test_what_left_with_the_login_leaves_again_under_another_store_epoch():
    net, raw, client, _ = reconnecting(b"hi", welcome=False)
    net.until(lambda: seqs_of(raw.got))
    raw.say(p.LoginOk(8, True, False, 1000, 1024))
    net.run(0.3)
    assert [1, 1] == seqs_of(raw.got)
    assert 8 == client.node.store_epoch


def test_more_than_fits_waits_for_the_answer():
    net, raw, _, _ = reconnecting(bytes(20_000), welcome=False)
    net.until(lambda: raw.got)
    net.run(0.5)
    assert [] == seqs_of(raw.got)
    raw.say(p.LoginOk(7, True, False, 100_000, 1024))
    net.run(0.5)
    assert [1] == seqs_of(raw.got)


def test_a_store_that_is_refused_as_stale_begins_anew_on_another_connection():
    net, raw, client, _ = reconnecting(b"hi", welcome=False)
    net.until(lambda: seqs_of(raw.got))
    before = client.node.outbox.incarnation
    raw.say(p.LoginRefused(LoginCode.STALE_STORE, "an old copy"))
    net.until(lambda: client.node.state is LinkState.WAITING)
    assert before != client.node.outbox.incarnation
    raw.welcome = True
    net.until(lambda: client.online)
