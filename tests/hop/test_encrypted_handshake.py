"""HELLO, RETRY, WELCOME and FINISH between a dialer and a listener."""

import random
from dataclasses import replace
from hashlib import blake2s

import pytest

from tests.crypto.secure import (
    CLIENT_STATIC,
    OTHER_STATIC,
    PATTERNS,
    PSK,
    SERVER_STATIC,
    client_security,
    server_security,
)
from tests.hop.secure_world import (
    CLIENT,
    DELAY_S,
    SERVER,
    Client,
    Server,
    World,
    finished,
    held_at,
    label,
)
from udpim.crypto.noise.suites import X25519Pair
from udpim.crypto.secure_handshake import KEY_REFUSED, SecureClientHandshake, mac_key
from udpim.crypto.security import Plain
from udpim.errors import ConfigError
from udpim.hop.codes import CloseKind
from udpim.hop.config import HopConfig
from udpim.hop.half_open import EARLY_DATAGRAMS_MAX
from udpim.wire.packet import (
    FLAG_ENCRYPTED,
    HELLO_BYTES_MIN,
    VersionOffer,
    encode_long,
    parse_long,
)
from udpim.wire.parameters import PeerParameters

FIRST_BYTES = [0x01, 0x41, 0x61, 0x81, 0xC1, 0xC2, 0xC9, 0xD1, 0xE9]
OTHERWHERE = ("203.0.113.66", 6)


@pytest.fixture
def dh_count(monkeypatch):
    """How many DH were done, as a list with an item for each."""
    done = []
    exchange = X25519Pair.exchange

    def counted(self, public):
        done.append(public)
        return exchange(self, public)

    monkeypatch.setattr(X25519Pair, "exchange", counted)
    return done


# Flights.


@pytest.mark.parametrize("pattern", PATTERNS)
def test_data_is_there_one_round_trip_after_the_first_packet_can_be(pattern):
    world = World(pattern)
    world.connect()
    assert ["C HELLO", "S WELCOME", "C FINISH", "C short", "S short"] == world.labels[:5]
    assert world.client.connected_at == pytest.approx(100.0 + 2 * DELAY_S)
    ((received_at, frame),) = world.server.received
    assert (b"login", 100.0 + 3 * DELAY_S) == (frame, pytest.approx(received_at))
    assert 1 == world.client.connection.stats.finishes_sent


def test_a_server_that_wants_the_address_proved_costs_one_round_trip_more():
    world = World(server=Server(always_retry=True))
    world.connect()
    expected = ["C HELLO", "S RETRY", "C HELLO", "S WELCOME", "C FINISH", "C short"]
    assert expected == world.labels[:6]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_both_ends_know_whom_they_talk_to(pattern):
    world = World(pattern)
    world.connect()
    assert SERVER_STATIC.public == world.client.connection.peer_static
    assert CLIENT_STATIC.public == world.server.connection.peer_static


def test_everything_but_reset_and_version_says_that_it_is_encrypted():
    world = World(server=Server(always_retry=True))
    world.connect()
    assert all(data[0] & FLAG_ENCRYPTED for _, _, data in world.log)


def test_what_was_said_is_nowhere_to_be_read():
    world = World()
    world.connect()
    crossed = b"".join(data for _, _, data in world.log)
    for secret in (b"login", b"welcome", CLIENT_STATIC.public, SERVER_STATIC.public):
        assert secret not in crossed


def test_the_server_knows_nobody_before_finish():
    world = World()
    world.fate = lambda name, nth: () if name == "FINISH" else (DELAY_S,)
    world.run(9.0)
    assert ({}, []) == (world.server.connections, world.server.received)
    assert 1 == world.server.listener.handshakes


def test_an_address_that_finished_is_proven():
    world = World()
    world.connect()
    assert world.server.connection.validated


# What the network does.


ACCIDENTS = {
    "loss": lambda: (),
    "duplication": lambda: (DELAY_S, DELAY_S, 3 * DELAY_S),
    "delay": lambda: (7 * DELAY_S,),
    "a late copy": lambda: (DELAY_S, 2.0),
}


@pytest.mark.parametrize("accident", ACCIDENTS)
@pytest.mark.parametrize("name", ["HELLO", "RETRY", "WELCOME", "FINISH", "short"])
@pytest.mark.parametrize("proof", [False, True], ids=["", "with RETRY"])
def test_no_accident_of_one_packet_harms(name, accident, proof):
    world = World(server=Server(always_retry=proof))
    world.fate = lambda n, nth: ACCIDENTS[accident]() if (n, nth) == (name, 1) else (DELAY_S,)
    world.run(5.0)
    world.check()
    assert 1 == world.server.listener.stats.connections_accepted


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_bad_network_only_takes_longer(pattern, seed):
    rng = random.Random(seed)
    world = World(pattern)

    def fate(name, nth):
        copies = rng.choice([0, 1, 1, 1, 2])
        return [DELAY_S * rng.choice([1, 1, 1, 4]) for _ in range(copies)]

    world.fate = fate
    world.run(60.0)
    world.check()


def test_packets_that_overtake_finish_wait_for_it():
    """Without that, it would take a probe timeout, three round trips, until they come again."""
    world = World()
    world.fate = lambda name, nth: (1.5 * DELAY_S if name == "FINISH" else DELAY_S,)
    world.run(0.2)
    assert [(pytest.approx(100.0 + 3.5 * DELAY_S), b"login")] == world.server.received
    assert 1 == world.server.listener.stats.early_datagrams


def test_packets_before_finish_are_few_and_whole():
    world = World()
    world.fate = lambda name, nth: () if name in ("FINISH", "short") else (DELAY_S,)
    world.run(0.3)
    (cid,) = {data[1:9] for data in world.sent("short")}
    for size in (31, 1201, *[1200] * (EARLY_DATAGRAMS_MAX + 3)):
        world.server.receive((b"\x41" + cid).ljust(size, b"x"), OTHERWHERE, world.now)
    drops = world.server.listener.drops
    assert {"unknown connection id": 2, "too many packets before FINISH": 3} == drops
    world.fate = lambda name, nth: (DELAY_S,)
    world.run(5.0)
    world.check()


def test_finish_goes_again_with_the_flights_until_somebody_answers():
    world = World()
    world.fate = lambda name, nth: () if (name, nth <= 3) == ("FINISH", True) else (DELAY_S,)
    world.run(10.0)
    world.check()
    assert 4 == world.client.connection.stats.finishes_sent
    before = len(world.sent("FINISH"))
    world.client.connection.send_frame(b"more", None, world.now)
    world.run(10.0)
    assert before == len(world.sent("FINISH"))


def test_a_finish_that_is_too_late_finds_nothing_and_its_packets_a_reset():
    world = World(server=Server(handshake_s=5.0))
    world.fate = lambda name, nth: (6.0 if name == "FINISH" else DELAY_S,)
    world.run(5.9)
    world.fate = lambda name, nth: (DELAY_S,)
    world.run(3.0)
    assert {} == world.server.connections
    assert "FINISH of an unknown handshake" in world.server.listener.drops
    assert world.server.listener.stats.resets_sent
    reset = parse_long(world.sent("RESET")[0])
    assert world.client.connection.receive_reset(reset.token, world.now)
    assert CloseKind.RESET is world.client.connection.closed.kind


def test_a_client_whose_finish_nobody_answers_gives_up_when_the_server_forgets():
    world = World()
    world.fate = lambda name, nth: () if name in ("FINISH", "short") else (DELAY_S,)
    world.run(10.0)
    assert world.client.connection.closed is None
    world.run(0.2)
    assert CloseKind.IDLE is world.client.connection.closed.kind


# Changed packets: each bit of every packet of the handshake; all values are in tests/security.


def changed(datagram, values):
    """Copies with one byte changed, from the end: the Noise message before the header.

    A client that has read the message once does no DH for others any more.
    """
    for at in reversed(range(len(datagram))):
        for value in values(datagram[at]):
            yield datagram[:at] + bytes((value,)) + datagram[at + 1 :]


def each_bit(byte):
    return [byte ^ 1 << bit for bit in range(8)]


EXTENTS = pytest.mark.parametrize(
    ("pattern", "values"), [(pattern, each_bit) for pattern in PATTERNS], ids=PATTERNS
)


@EXTENTS
def test_a_changed_hello_leads_to_nothing(pattern, values, dh_count):
    world, hello = held_at(pattern, "HELLO")
    dh_count.clear()
    for data in changed(hello, values):
        world.server.receive(data, CLIENT, world.now)
    assert [] == world.server.datagrams_to_send(world.now)
    assert (0, {}, []) == (world.server.listener.handshakes, world.server.connections, dh_count)
    finished(world)


@EXTENTS
def test_a_changed_retry_is_not_believed(pattern, values):
    world, retry = held_at(pattern, "RETRY", always_retry=True)
    for data in changed(retry, values):
        world.client.receive(data, SERVER, world.now)
    assert 0 == world.client.dialer.stats.retries_received
    assert (None, None) == (world.client.connection, world.client.dialer.failed)
    finished(world, retries=1)


@EXTENTS
def test_a_changed_welcome_is_not_believed(pattern, values):
    world, welcome = held_at(pattern, "WELCOME")
    for data in changed(welcome, values):
        world.client.receive(data, SERVER, world.now)
    assert (None, None) == (world.client.connection, world.client.dialer.failed)
    assert [] == world.sent("FINISH")
    finished(world)


@EXTENTS
def test_a_changed_finish_opens_nothing(pattern, values):
    world, finish = held_at(pattern, "FINISH")
    for data in changed(finish, values):
        world.server.receive(data, CLIENT, world.now)
        assert {} == world.server.connections
    finished(world)


def test_every_packet_cut_short_or_made_longer_leads_to_nothing():
    for name in ("HELLO", "RETRY", "WELCOME", "FINISH"):
        world, packet = held_at("XK", name, always_retry=name == "RETRY")
        end = world.client if name in ("RETRY", "WELCOME") else world.server
        source = SERVER if end is world.client else CLIENT
        for data in (packet + b"\0", *(packet[:size] for size in range(len(packet)))):
            end.receive(data, source, world.now)
        assert (None, {}) == (world.client.dialer.failed, world.server.connections)
        finished(world, retries=int(name == "RETRY"))


# No way down.


@pytest.mark.parametrize(
    ("client", "server", "reason"),
    [
        (Plain(), server_security(), "plaintext is not spoken here"),
        (client_security(), Plain(), "encryption is not spoken here"),
        (
            client_security("XX"),
            server_security(first_contact=False),
            "HELLO of a pattern or suite that is not offered",
        ),
        (
            client_security("XK"),
            server_security("XKpsk3"),
            "HELLO of a pattern or suite that is not offered",
        ),
        (
            client_security(server_key=OTHER_STATIC.public),
            server_security(),
            "HELLO has a wrong mac",
        ),
    ],
    ids=["plain client", "plain server", "no XX", "no secret", "other key"],
)
def test_who_wants_something_else_meets_silence_and_asks_for_nothing_less(client, server, reason):
    world = World(client=Client(client), server=Server(server))
    world.run(5.0)
    assert {"C HELLO"} == set(world.labels)
    assert 1 == len(set(world.sent("HELLO")))
    assert {reason} == world.server.listener.drops.keys()
    assert (None, None) == (world.client.connection, world.client.dialer.failed)


def test_another_shared_secret_opens_nothing():
    client = Client(client_security("XKpsk3", psk=PSK[::-1]))
    world = World(client=client, server=Server(server_security("XKpsk3")))
    world.run(5.0)
    assert {} == world.server.connections
    assert "FINISH is not authentic" in world.server.listener.drops
    assert [] == world.client.received


def test_plaintext_answers_are_dropped():
    """As an attacker on the path would write them."""
    world, _ = held_at("XK", "WELCOME")
    plain = World(client=Client(Plain()), server=Server(Plain(), always_retry=True))
    plain.run(1.0)
    cid = world.client.dialer.local_cid
    for name in ("RETRY", "WELCOME"):
        packet = replace(parse_long(plain.sent(name)[0]), destination_cid=cid)
        world.client.receive(encode_long(packet), SERVER, world.now)
    offer = VersionOffer(destination_cid=cid, source_cid=bytes(8), versions=(1, 2))
    world.client.receive(encode_long(offer), SERVER, world.now)
    drops = world.client.dialer.drops
    assert (1, 1) == (
        drops["RETRY does not answer our HELLO"],
        drops["WELCOME does not answer our HELLO"],
    )
    finished(world)


def test_an_offer_of_other_versions_ends_the_attempt_and_changes_no_mode():
    world, _ = held_at("XK", "WELCOME")
    offer = VersionOffer(
        destination_cid=world.client.dialer.local_cid, source_cid=bytes(8), versions=(2,)
    )
    world.client.receive(encode_long(offer), SERVER, world.now)
    assert "other protocol versions" in world.client.dialer.failed
    sent = len(world.log)
    world.fate = lambda name, nth: ()
    world.run(5.0)
    assert sent == len([1 for _, by_client, _ in world.log if by_client]) + len(
        world.sent("WELCOME")
    )


def test_a_server_whose_key_is_not_accepted_hears_nothing_more():
    shown = []
    security = client_security("XX", accept_key=lambda key: bool(shown.append(key)))
    world = World(client=Client(security))
    world.run(5.0)
    assert ["C HELLO", "S WELCOME"] == world.labels
    assert (KEY_REFUSED, None) == (world.client.dialer.failed, world.client.connection)
    assert [SERVER_STATIC.public] == shown


def test_the_wrong_kind_of_keys_is_a_mistake_of_the_caller():
    with pytest.raises(ConfigError, match="client"):
        Client(server_security())
    with pytest.raises(ConfigError, match="server"):
        Server(client_security())


# Strangers.


def test_garbage_meets_silence_and_costs_no_dh(seed, dh_count):
    rng = random.Random(seed)
    world, hello = held_at("XK", "HELLO")
    server = world.server
    dh_count.clear()
    for _ in range(3000):
        kind = rng.choice([*FIRST_BYTES, rng.randrange(256)])
        size = rng.choice([0, 1, 20, 40, 300, 301, 600, 1200])
        data = (bytes((kind,)) + rng.randbytes(size))[:size]
        if rng.random() < 0.3:
            data = hello[: rng.randrange(300)] + rng.randbytes(rng.randrange(300))
        server.receive(data, CLIENT, world.now)
    assert [] == server.datagrams_to_send(world.now)
    assert ([], {}, 0) == (dh_count, server.connections, server.listener.handshakes)
    assert 3000 == sum(server.listener.drops.values())


def test_another_version_is_answered_if_its_mac_is_for_this_server():
    """So that the rule can hold in later versions, whatever else they change."""
    server = Server()
    body = b"\xc2" + bytes(8) + b"client-1" + bytes(HELLO_BYTES_MIN - 17 - 16)
    for key in (mac_key(SERVER_STATIC.public), mac_key(OTHER_STATIC.public)):
        mac = blake2s(body, key=key, digest_size=16).digest()
        server.receive(body + mac, CLIENT, 100.0)
    ((answer, _),) = server.datagrams_to_send(100.0)
    assert (1,) == parse_long(answer).versions
    assert {"another version, without a mac for this server": 1} == server.listener.drops


def hello_of(seed, **options):
    """The first datagram of a client."""
    client = Client(client_security(**options), seed=seed)
    ((data, _),) = client.datagrams_to_send(100.0)
    return data


def test_answers_to_an_unproven_address_are_never_larger_than_what_came():
    server = Server(unproven_handshakes_max=30)
    hellos = [hello_of(seed) for seed in range(40)]
    taken = given = 0
    for data in hellos * 3:
        server.receive(data, CLIENT, 100.0)
        server.receive((b"\x41" + bytes(8)).ljust(50), CLIENT, 100.0)
        taken += len(data) + 50
        given += sum(len(answer) for answer, _ in server.datagrams_to_send(100.0))
        assert given <= taken
    stats = server.listener.stats
    assert (30, 30) == (server.listener.handshakes, server.listener.unproven_handshakes)
    assert (60, 30) == (stats.hellos_repeated, stats.retries_sent)


def test_a_repeated_hello_gets_the_same_bytes_and_costs_no_dh(dh_count):
    server, data = Server(), hello_of(1)
    server.receive(data, CLIENT, 100.0)
    first = server.datagrams_to_send(100.0)
    dh_count.clear()
    server.receive(data, CLIENT, 100.1)
    assert first == server.datagrams_to_send(100.1)
    assert [] == dh_count


def test_a_flood_of_hellos_leaves_bounded_state_and_bounded_work(dh_count):
    server = Server(hello_burst=20, hellos_per_s=1.0, unproven_handshakes_max=1000)
    hellos = [hello_of(seed) for seed in range(100)]
    dh_count.clear()
    for number, data in enumerate(hellos):
        server.receive(data, ("203.0.113.5", number), 100.0)
    answers = [label(data) for data, _ in server.datagrams_to_send(100.0)]
    assert ["WELCOME"] * 20 + ["RETRY"] * 80 == answers
    assert 20 * 2 == len(dh_count), "es and ee"


def test_one_proven_address_does_not_get_all_the_work():
    server = Server(always_retry=True, hello_burst_address=2, hellos_per_s_address=1.0)
    answered = []
    for seed in range(4):
        client = Client(seed=seed)
        for _ in range(2):
            for data, _ in client.datagrams_to_send(100.0):
                server.receive(data, CLIENT, 100.0)
            answers = server.datagrams_to_send(100.0)
            answered += [label(answer) for answer, _ in answers]
            for answer, _ in answers:
                client.receive(answer, SERVER, 100.0)
    assert ["RETRY", "WELCOME"] * 2 + ["RETRY"] * 2 == answered
    assert {"too many HELLOs from one address": 2} == server.listener.drops


def test_half_open_handshakes_are_limited():
    server = Server(handshakes_max=2)
    for seed in range(3):
        server.receive(hello_of(seed), CLIENT, 100.0)
    assert {"too many handshakes": 1} == server.listener.drops
    assert 2 == len(server.datagrams_to_send(100.0))


def test_the_oldest_unfinished_handshake_makes_room_for_a_proven_address():
    server = Server(handshakes_max=2, always_retry=True)
    begun = []
    for seed in range(4):
        world = World(client=Client(seed=seed), server=server)
        world.fate = lambda name, nth: () if name == "FINISH" else (DELAY_S,)
        world.run(0.25)
        begun.append(world)
    assert (2, 2) == (server.listener.handshakes, server.listener.stats.handshakes_evicted)
    oldest, *_, newest = begun
    finish = oldest.sent("FINISH")[0]
    server.receive(finish, CLIENT, newest.now)
    assert {"FINISH of an unknown handshake": 1} == server.listener.drops
    finished(newest, retries=1)


def test_connections_are_limited_when_they_are_finished():
    world, _ = held_at("XK", "FINISH", handshakes_max=1, sessions_max=1)
    others = {b"server%02d" % n: world.server for n in range(2)}
    finish = world.sent("FINISH")[0]
    assert None is world.server.listener.receive_datagram(finish, CLIENT, world.now, others)
    assert {"too many connections": 1} == world.server.listener.drops
    finished(world)


def test_a_client_that_one_cannot_live_with_is_dropped():
    bad = SecureClientHandshake(
        client_security(), PeerParameters(frame_window=1), random.Random(1).randbytes, b"client-1"
    )
    server = Server()
    server.receive(bad.hello, CLIENT, 100.0)
    assert {"HELLO has a bad payload": 1} == server.listener.drops


def test_a_hello_that_names_a_destination_is_none():
    server = Server()
    packet = replace(parse_long(hello_of(1)), destination_cid=b"somebody")
    server.receive(encode_long(packet), CLIENT, 100.0)
    assert {"not a HELLO": 1} == server.listener.drops


# Replays.


def test_captured_packets_change_nothing_but_counters(dh_count):
    world = World(server=Server(always_retry=True))
    world.connect()
    at_client, at_server = world.client.connection, world.server.connection
    dh_count.clear()
    for source in (CLIENT, OTHERWHERE):
        for _, by_client, data in world.log * 2:
            if by_client:
                world.server.receive(data, source, world.now)
            else:
                world.client.receive(data, source, world.now)
    assert 1 == len(world.server.connections)
    answers = [label(data) for data, _ in world.server.listener.datagrams_to_send(world.now)]
    assert {"RETRY", "WELCOME"} == set(answers), "those of HELLO, which are no larger"
    assert [] == dh_count
    world.check()
    assert (SERVER, CLIENT) == (at_client.path, at_server.path)
    assert world.client.connection is at_client


def test_captured_packets_open_nothing_after_their_handshake_was_forgotten():
    world = World()
    world.connect()
    world.server.connection.close(0, "", world.now)
    world.run(20.0)
    world.server.connections.clear()
    captured, received = list(world.log), list(world.server.received)
    for _, by_client, data in captured * 2:
        if by_client:
            world.server.receive(data, CLIENT, world.now)
    assert {} == world.server.connections
    assert received == world.server.received
    assert 1 == world.server.listener.stats.connections_accepted


def test_a_finish_that_comes_again_opens_no_second_connection():
    world = World()
    world.fate = lambda name, nth: (DELAY_S, DELAY_S, 2 * DELAY_S)
    world.run(2.0)
    world.check()
    assert 2 == world.server.listener.drops["FINISH of a handshake that is over"]
    assert 1 == world.server.listener.stats.finishes_received


def test_a_captured_finish_from_elsewhere_takes_no_connection_along():
    world, finish = held_at("XK", "FINISH")
    world.server.receive(finish, OTHERWHERE, world.now)
    assert CLIENT == world.server.connection.path
    finished(world)


# Secrets.


def test_no_secret_is_printed():
    config = HopConfig(security=client_security("XKpsk3"))
    world = World("XKpsk3")
    world.connect()
    things = [config, world.client.dialer, world.client.connection, world.server.listener]
    shown = "".join(map(repr, things))
    for secret in (PSK, bytes(range(1, 33)), world.client.connection.channel_binding):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
