"""Two ends that move, and what an onlooker can tell of it."""

import pytest

from tests.hop.pair import CLIENT, RESET_TOKEN, SERVER, Pair, both_modes, connect, packet_to
from udpim.hop.cids import CIDS_MAX
from udpim.hop.codes import CloseCode, ConnectionState, Role
from udpim.hop.config import HopConfig
from udpim.wire import frames as f

pytestmark = pytest.mark.usefixtures(both_modes.__name__)
QUIET = HopConfig(grease_packets_max=0)
RTT_S = 0.04
ADDRESSES = [("198.51.100.7", 40_001), ("203.0.113.5", 9)]
"""Another port, another host."""


def met(seed=1, **faults):
    """Two ends that have given each other spare ids."""
    pair = Pair(seed, config=QUIET, spare_ids=True, **faults)
    pair.run(1.0)
    return pair


def migrate(pair, address):
    """The client goes elsewhere and says so."""
    pair.client.address = address
    pair.client.connection.migrate()


def linked(pair, since=0):
    """Ids that an onlooker has seen at more than one address of the client."""
    where = {}
    for cid, source, destination in pair.seen[since:]:
        where.setdefault(cid, set()).add(destination if source == SERVER else source)
    return {cid for cid, addresses in where.items() if len(addresses) > 1}


def give(connection, number, *frames, path=None, now=1.0):
    datagram = packet_to(connection, number, *frames)
    packet = connection.receive_packet(datagram, path or connection.path, now)
    assert packet is not None, connection.drops
    connection.take(packet, now)


def test_both_ends_have_spare_ids_of_each_other_after_their_first_packets():
    pair = met()
    for end in pair.ends:
        assert len(end.connection.local_cids) == CIDS_MAX
        assert end.connection.in_flight_frames == 0
    assert {SERVER, CLIENT} == {destination for _, _, destination in pair.seen}
    before = len(pair.seen)
    pair.run(5.0)
    assert before == len(pair.seen), "nothing more is said about them"


def test_spare_ids_are_offered_to_nobody_who_has_not_spoken():
    server = connect(Role.SERVER, QUIET, spare_ids=True)
    assert server.datagrams_to_send(1.0) == []
    assert len(server.local_cids) == 1


@pytest.mark.parametrize("address", ADDRESSES)
def test_who_moves_knowingly_shows_no_id_of_the_old_path_on_the_new_one(address):
    pair = met()
    migrate(pair, address)
    pair.run(1.0)
    assert pair.server.connection.path == address
    assert set() == linked(pair)
    assert [1, 1] == [end.connection.stats.cids_changed for end in pair.ends]
    assert [CIDS_MAX] * 2 == [len(end.connection.local_cids) for end in pair.ends]


@pytest.mark.parametrize("address", ADDRESSES)
def test_who_was_moved_uses_another_id_as_soon_as_the_peer_does(address):
    """A NAT has rebound: the client learns of it by the id of the challenge."""
    pair = met()
    before = pair.client.connection.remote_cid
    pair.client.address = address
    pair.send(pair.client, b"x")
    pair.run(1.0)
    assert pair.server.connection.path == address
    assert {before} == linked(pair), "it could not know before"
    ids = [cid for cid, source, _ in pair.seen if source == address]
    assert ids[0] == before
    assert before not in ids[1:]
    assert [1, 1] == [end.connection.stats.cids_changed for end in pair.ends]


def test_moving_again_and_again_links_nothing_and_ends_nothing(seed):
    pair = met(seed)
    for port in range(20):
        migrate(pair, (f"198.51.100.{port}", 41_000 + port))
        for end in pair.ends:
            pair.send(end, b"%d" % port, port)
        pair.run(0.2)
    assert set() == linked(pair)
    assert pair.open
    assert {0} == {end.connection.stats.cids_short for end in pair.ends}
    for end in pair.ends:
        assert sorted(end.received) == sorted(b"%d" % i for i in range(20))
        assert end.connection.stats.frames_received == 20


def test_moving_faster_than_ids_come_keeps_the_connection(seed):
    pair = met(seed)
    for port in range(12):
        migrate(pair, ("198.51.100.7", 41_000 + port))
        pair.send(pair.client, b"%d" % port)
        pair.run(RTT_S / 4)
    pair.run(2.0)
    assert sorted(pair.server.received) == sorted(b"%d" % i for i in range(12))
    assert pair.client.connection.stats.cids_short > 0
    assert pair.server.connection.path == pair.client.address


@pytest.mark.parametrize("address", ADDRESSES)
def test_after_a_move_everything_flows_again_within_two_round_trips(address):
    pair = met()
    pair.run(0.5)
    sent_at = {}
    moved_at = pair.now

    def say(body):
        sent_at[body] = pair.now
        for end in pair.ends:
            pair.send(end, body, body)

    for step in range(40):
        if step == 20:
            moved_at = pair.now
            migrate(pair, address)
            say(b"moved")
        say(b"%d" % step)
        pair.run(RTT_S / 10)
        if step == 40 - 1 or abs(pair.now - moved_at - 2 * RTT_S) < 1e-9:
            late = [body for body in sent_at if sent_at[body] <= moved_at]
            assert set(late) <= set(pair.client.received), pair.now - moved_at
            assert set(late) <= set(pair.server.received)
    pair.run(2 * RTT_S)
    for end in pair.ends:
        assert sorted(sent_at) == sorted(end.received)
        assert sorted(sent_at) == sorted(end.acked)


def test_an_id_that_is_not_ours_any_more_is_not_ours():
    pair = met()
    old = pair.client.connection.remote_cid
    migrate(pair, ADDRESSES[1])
    pair.run(1.0)
    server = pair.server.connection
    assert old not in server.local_cids
    datagram = packet_to(server, 500, b"\x01")
    assert datagram[1:9] == old
    assert server.receive_packet(datagram, server.path, pair.now) is None
    assert server.drops["wrong connection id"] == 1


def test_an_idle_client_that_moves_is_followed_after_one_and_a_half_round_trips():
    """Its first packet there is as small as packets are, and pays for a challenge all the same."""
    pair = met()
    migrate(pair, ADDRESSES[1])
    pair.run(1.5 * RTT_S - 0.001)
    assert pair.server.connection.path == CLIENT
    pair.run(0.001)
    assert pair.server.connection.path == ADDRESSES[1]


def test_a_reset_has_to_show_the_token_of_the_id_in_use():
    pair = met()
    client = pair.client.connection
    migrate(pair, ADDRESSES[0])
    assert not client.receive_reset(RESET_TOKEN, pair.now)
    assert client.remote_cid == b"serv-001"
    assert client.receive_reset(b"reset-token-0001", pair.now)
    assert client.closed.code == CloseCode.RESET


def test_a_packet_that_only_probes_raises_no_question():
    server = connect(Role.SERVER, QUIET, spare_ids=True)
    elsewhere = ("203.0.113.5", 5)
    probing = [f.encode_path(f.PATH_CHALLENGE, bytes(8)), f.encode_path(f.PATH_RESPONSE, bytes(8))]
    give(server, 0, *probing, f.encode_new_cid(1, b"client-2", b""), b"\0", path=elsewhere)
    out = server.datagrams_to_send(1.0)
    to_elsewhere = [data for data, address in out if address == elsewhere]
    assert len(to_elsewhere) == 1, "the answer to the challenge, and no challenge"
    give(server, 1, b"\x01", *probing, path=elsewhere)
    out = server.datagrams_to_send(1.0)
    assert 2 == sum(address == elsewhere for _, address in out)
    assert server.path == CLIENT


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "frame",
    [
        f.encode_retire_cid(1),
        b"".join(f.encode_new_cid(n, b"id-%05d" % n, bytes(16)) for n in range(1, 5)),
        f.encode_new_cid(1000, b"far away", bytes(16)),
    ],
)
def test_ids_that_cannot_be_are_an_error_of_the_peer(role, frame):
    connection = connect(role, QUIET)
    give(connection, 0, frame)
    assert connection.state is ConnectionState.CLOSING
    assert connection.closed.code == CloseCode.PROTOCOL_ERROR


def test_a_closed_connection_goes_nowhere():
    client = connect(Role.CLIENT, QUIET)
    client.close(0, "", 1.0)
    client.migrate()
    assert client.stats.path_changes == 0


# Probes of bindings.


def test_a_probe_from_a_spare_port_is_answered_there_under_ids_of_its_own():
    pair = met()
    client, server = pair.client.connection, pair.server.connection
    probe = client.packet_aside(f.encode_path(f.BINDING_PROBE, b"probe 01"))
    pair.deliver(pair.server, probe, ADDRESSES[0])
    client.steer(f.encode_path(f.BINDING_ASK, b"probe 01"))
    before = len(pair.seen)
    pair.run(0.1)
    (answer,) = [d for _, d, path in pair.server.sent_datagrams if path == ADDRESSES[0]]
    assert len(answer) == len(probe)
    assert server.path == CLIENT, "a probe raises no question"
    seen = [cid for cid, _, _ in pair.seen[:before]]
    assert probe[1:9] not in seen
    assert answer[1:9] not in seen
    packet = client.receive_packet(answer, SERVER, pair.now)
    packet.aside = True
    used = client.remote_cid
    client.take(packet, pair.now)
    assert client.remote_cid == used, "the path is the same"
    client.close_spare_port()
    client.close_spare_port()
    pair.run(1.0)
    assert probe[1:9] not in server.local_cids
    assert set() == linked(pair)


def test_without_a_spare_id_there_is_no_packet_for_a_spare_port():
    client = connect(Role.CLIENT, QUIET)
    assert client.packet_aside(f.encode_path(f.BINDING_PROBE, bytes(8))) is None
    assert client.stats.cids_short == 0


def test_keepalives_follow_what_is_known_of_bindings():
    client = connect(Role.CLIENT, HopConfig(idle_timeout_s=300.0, grease_packets_max=0))
    client.handle_timeout(9.9)
    client.keep_bindings(100.0, 10.0)
    client.handle_timeout(89.9)
    assert client.datagrams_to_send(89.9) == []
    client.handle_timeout(90.0)
    assert len(client.datagrams_to_send(90.0)) == 1


def test_keepalives_fit_into_an_idle_timeout_that_the_peer_has_chosen():
    peer = HopConfig(idle_timeout_s=6.0, keepalive_s=2.0)
    client = connect(Role.CLIENT, QUIET, peer_config=peer)
    client.handle_timeout(2.0)
    assert len(client.datagrams_to_send(2.0)) == 1
