"""Every byte of every packet of the handshake, set to all 255 other values.

Adversary table, row "downgrade"; attack 19 of the transports. Whatever is changed, cut, made longer
or put in between, the attempt ends in failure or in the same keys on both ends, as asked: never in
plaintext, in another pattern or suite, or with other parameters.

All changed copies go to one handshake, and then the true packet, which still has to succeed: a
message that cannot be read changes nothing (PROTOCOL §2.8-9).
"""

from dataclasses import replace
from functools import lru_cache
from hashlib import blake2s

import pytest

from tests.crypto.secure import (
    CLIENT_STATIC,
    PATTERNS,
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
from udpim.crypto import security
from udpim.crypto.noise import symmetric_state
from udpim.crypto.noise.suites import X25519Pair
from udpim.crypto.secure_handshake import mac_key
from udpim.crypto.security import AES_SHA256, CHACHA_BLAKE2S, Plain
from udpim.hop.config import HopConfig
from udpim.wire.packet import (
    FLAG_ENCRYPTED,
    MAC_BYTES,
    Hello,
    Reset,
    Retry,
    VersionOffer,
    Welcome,
    encode_long,
    is_long,
    parse_long,
)
from udpim.wire.parameters import PeerParameters, encode_parameters

PACKETS = {
    # bytes of each packet: 255 changed copies for each of them
    "XK": {"HELLO": 300, "RETRY": 58, "WELCOME": 139, "FINISH": 83},
    "XX": {"HELLO": 300, "RETRY": 58, "WELCOME": 187, "FINISH": 83},
    "XKpsk3": {"HELLO": 300, "RETRY": 58, "WELCOME": 139, "FINISH": 83},
    "XXpsk3": {"HELLO": 300, "RETRY": 58, "WELCOME": 187, "FINISH": 83},
}
SUITES = {"chacha": CHACHA_BLAKE2S, "aes": AES_SHA256}
ASKED = [("XK", "aes"), *((pattern, "chacha") for pattern in PATTERNS)]
NAMES = ("HELLO", "RETRY", "WELCOME", "FINISH")
TO_CLIENT = ("RETRY", "WELCOME")

each_asked = pytest.mark.parametrize(("pattern", "suite"), ASKED, ids=map("-".join, ASKED))
each_packet = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def each_secret_once(monkeypatch):
    """What the same keys give is the same: it is computed once, for there are so many copies."""
    exchange, known = X25519Pair.exchange, {}

    def remembered(self, public):
        secret = known.get((self.public, public))
        if secret is None:
            secret = known[self.public, public] = exchange(self, public)
        return secret

    monkeypatch.setattr(X25519Pair, "exchange", remembered)
    monkeypatch.setattr(symmetric_state, "chain", lru_cache(100)(symmetric_state.chain))


def held(name, pattern="XK", suite="chacha"):
    """A world in which all packets of a name have been lost so far; the first of them."""
    return held_at(pattern, name, suite=SUITES[suite], always_retry=name == "RETRY")


def other_values(datagram):
    """All copies with one byte changed, from the end: the Noise message before the header.

    A client that has read the message once does no more for others.
    """
    for at in reversed(range(len(datagram))):
        head, tail = datagram[:at], datagram[at + 1 :]
        for value in range(256):
            if value != datagram[at]:
                yield head + bytes((value,)) + tail


def other_lengths(datagram):
    """The datagram cut at every length, and with something behind it."""
    yield from (datagram[:size] for size in range(len(datagram)))
    yield from (datagram + tail for tail in (b"\0", b"\xff", datagram, bytes(16), bytes(900)))


def give(world, name, datagrams):
    """Hand datagrams to the end for which packets of a name are; how many there were."""
    to_client = name in TO_CLIENT
    receive = world.client.receive if to_client else world.server.receive
    source, count = SERVER if to_client else CLIENT, 0
    for count, data in enumerate(datagrams, 1):  # noqa: B007  # it is the result
        receive(data, source, world.now)
    return count


def nothing_happened(world, name):
    """Neither end has a connection (the client: before its FINISH), an answer, or given up."""
    assert (name == "FINISH", None) == (
        world.client.connection is not None,
        world.client.dialer.failed,
    )
    assert {} == world.server.connections
    assert [] == world.server.datagrams_to_send(world.now)


def went_on(world):
    """The rest is left to itself, with a RETRY or without: both ends get the same keys."""
    world.fate = lambda name, nth: (DELAY_S,)
    world.run(5.0)
    world.check()


def as_asked(world, pattern, suite):
    """Both ends agree, on what the client asked for, and nothing was said in the clear."""
    at_client, at_server = world.client.connection, world.server.connection
    assert 32 == len(at_client.channel_binding)
    assert at_client.channel_binding == at_server.channel_binding
    assert (SERVER_STATIC.public, CLIENT_STATIC.public) == (
        at_client.peer_static,
        at_server.peer_static,
    )
    hellos = [parse_long(data) for data in world.sent("HELLO")]
    (number,) = {hello.pattern for hello in hellos}
    assert security.PATTERNS[number].name == pattern
    assert {SUITES[suite]} == {hello.suite for hello in hellos}
    own = HopConfig().parameters()
    for theirs in (at_client.parameters, at_server.parameters):
        assert own == replace(theirs, nonce=own.nonce, connection_id=None, reset_token=None)
    assert at_client.parameters.reset_token is not None
    encrypted(world)


def encrypted(world):
    """Nothing in plaintext has left either end."""
    crossed = [data for _, _, data in world.log if label(data) not in ("RESET", "VERSION")]
    assert crossed
    assert all(data[0] & FLAG_ENCRYPTED for data in crossed)
    assert not any(word in data for word in (b"login", b"welcome") for data in crossed)


# Changed packets.


@each_packet
@each_asked
def test_every_other_value_of_every_byte_is_failure_or_the_same_keys(pattern, suite, name):
    world, packet = held(name, pattern, suite)
    assert PACKETS[pattern][name] == len(packet)
    assert 255 * len(packet) == give(world, name, other_values(packet))
    nothing_happened(world, name)
    finished(world, retries=int(name == "RETRY"))
    as_asked(world, pattern, suite)


@each_packet
@each_asked
def test_every_other_length_is_failure_or_the_same_keys(pattern, suite, name):
    world, packet = held(name, pattern, suite)
    assert len(packet) + 5 == give(world, name, other_lengths(packet))
    nothing_happened(world, name)
    finished(world, retries=int(name == "RETRY"))
    as_asked(world, pattern, suite)


def test_no_pattern_no_suite_and_no_packet_is_left_out():
    """The table of what is changed, against what the product knows."""
    assert (
        {pattern.name for pattern in security.PATTERNS.values()} == PACKETS.keys() == set(PATTERNS)
    )
    assert {name for row in PACKETS.values() for name in row} == set(NAMES)
    assert {pattern for pattern, _ in ASKED} == PACKETS.keys()
    assert set(SUITES.values()) == security.SUITES.keys()
    assert set(SUITES) == {suite for pattern, suite in ASKED if pattern == "XK"}
    copies = sum(255 * size for pattern, _ in ASKED for size in PACKETS[pattern].values())
    assert 763_980 == copies


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_table_names_every_packet_of_a_handshake(pattern):
    world = World(pattern, server=Server(server_security(pattern), always_retry=True))
    world.connect()
    assert set(NAMES) == {label(data) for _, _, data in world.log if is_long(data)}


# Changed packets with a right mac: the server's public key is no secret.


def with_mac(data):
    """The datagram with the mac that it needs, for those who know the server's key."""
    for key in (mac_key(SERVER_STATIC.public), mac_key(None)):
        body = data[:-MAC_BYTES]
        yield body + blake2s(body, key=key, digest_size=MAC_BYTES).digest()


def other_bits(datagram):
    """All copies with one bit changed."""
    for at in range(8 * len(datagram)):
        data = bytearray(datagram)
        data[at >> 3] ^= 1 << (at & 7)
        yield bytes(data)


@each_asked
def test_a_changed_hello_with_a_right_mac_leads_nowhere_but_to_the_same_keys(pattern, suite):
    """Whatever the server makes of it, the client does not believe what follows."""
    world, hello = held("HELLO", pattern, suite)
    answers = copies = 0
    for changed in other_bits(hello[:-MAC_BYTES] + bytes(MAC_BYTES)):
        for data in with_mac(changed):
            if data == hello:
                continue
            copies += 1
            world.server.receive(data, CLIENT, world.now)
            for answer, _ in world.server.datagrams_to_send(world.now):
                answers += 1
                world.client.receive(answer, SERVER, world.now)
    assert 2 * 8 * (300 - MAC_BYTES) <= copies
    assert answers, "otherwise nothing was tried"
    assert (None, None) == (world.client.connection, world.client.dialer.failed)
    assert {} == world.server.connections
    went_on(world)
    as_asked(world, pattern, suite)


def test_what_another_pattern_or_suite_would_be_is_never_taken_up():
    """HELLO says the one thing, an attacker on the path makes it say another."""
    few = {(number, suite) for number in range(6) for suite in range(4)}
    for pattern in PATTERNS:
        world, hello = held("HELLO", pattern)
        asked = number, suite = tuple(hello[17:19])
        others = {(number, n) for n in range(256)} | {(n, suite) for n in range(256)} | few
        for other in sorted(others - {asked}):
            for data in with_mac(hello[:17] + bytes(other) + hello[19:]):
                world.server.receive(data, CLIENT, world.now)
        for answer, _ in world.server.datagrams_to_send(world.now):
            world.client.receive(answer, SERVER, world.now)
        assert (None, {}) == (world.client.connection, world.server.connections)
        finished(world)
        as_asked(world, pattern, "chacha")


def test_a_retry_by_somebody_who_knows_the_servers_key_ends_in_the_same_keys():
    """It costs round trips, for the token is worth nothing; but what follows is as asked."""
    world, hello = held("HELLO")
    for token in (b"", b"x", bytes(24), bytes(255)):
        packet = replace(
            parse_long(held("RETRY")[1]), destination_cid=world.client.dialer.local_cid, token=token
        )
        body = world.sent("HELLO")[-1][-MAC_BYTES:] + encode_long(packet)[:-MAC_BYTES]
        mac = blake2s(body, key=mac_key(SERVER_STATIC.public), digest_size=MAC_BYTES).digest()
        world.client.receive(encode_long(replace(packet, mac=mac)), SERVER, world.now)
        world.run(0.01)
    assert 1 < len(set(world.sent("HELLO"))), "some were believed"
    assert hello != world.sent("HELLO")[-1]
    went_on(world)
    as_asked(world, "XK", "chacha")


# Packets that belong to no such handshake, put in at every point.


POINTS = ("HELLO", "RETRY", "WELCOME", "FINISH", "short", "nothing")


def held_before(point, pattern="XK"):
    """A world that has come to where packets of a name are lost."""
    server = Server(server_security(pattern), always_retry=point == "RETRY")
    world = World(pattern, client=Client(client_security(pattern)), server=server)
    world.fate = lambda name, nth: () if name == point else (DELAY_S,)
    world.run(0.2)
    return world


def foreign(world):
    """Name → packets in plaintext, offers, resets, and those of other handshakes, made to fit."""
    theirs = world.client.dialer.local_cid
    known = {parse_long(data).source_cid for data in world.sent("WELCOME")}
    ours = min(known) if known else b"server-9"
    parameters = PeerParameters(nonce=bytes(16), reset_token=bytes(16))
    payload = encode_parameters(parameters)
    bare = encode_parameters(replace(parameters, reset_token=None))
    for token in (b"", b"token"):
        yield "plain", Hello(source_cid=theirs, token=token, payload=bare)
        yield "plain", Hello(source_cid=b"client-9", token=token, payload=bare)
        yield "plain", Retry(destination_cid=theirs, source_cid=bytes(8), token=token)
    yield "plain", Welcome(destination_cid=theirs, source_cid=ours, payload=payload)
    yield "plain", Welcome(destination_cid=theirs, source_cid=b"server-9", payload=payload)
    for cid in (theirs, ours):
        yield "reset", Reset(cid=cid, token=bytes(16))
    for versions in ((), (1,), (1, 2), (0, 1, 7)):
        packet = VersionOffer(destination_cid=ours, source_cid=theirs, versions=versions)
        yield "offer", packet
    for versions in ((1,), (1, 2), (0, 1, 7)):
        packet = VersionOffer(destination_cid=theirs, source_cid=ours, versions=versions)
        yield "offer", packet
    other = World(
        client=Client(client_security(static=SERVER_STATIC), seed=77),
        server=Server(always_retry=True, seed=78),
    )
    other.connect()
    for name in NAMES:
        packet = parse_long(other.sent(name)[0])
        yield "other", packet
        if name != "HELLO":
            fitting = theirs if name in TO_CLIENT else ours
            yield "other", replace(packet, destination_cid=fitting)
        if name in ("WELCOME", "FINISH"):
            source = ours if name == "WELCOME" else theirs
            yield "other", replace(packet, destination_cid=fitting, source_cid=source)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("pattern", ["XK", "XX"])
def test_what_is_put_in_between_changes_nothing(pattern, point):
    world = held_before(point, pattern)
    kinds = set()
    before = dict(world.server.connections), world.client.connection
    for kind, packet in foreign(world):
        kinds.add(kind)
        data = encode_long(packet)
        world.client.receive(data, SERVER, world.now)
        if data[1:9] not in world.server.connections:
            world.server.receive(data, CLIENT, world.now)
    assert {"plain", "reset", "offer", "other"} == kinds
    answers = [label(data) for data, _ in world.server.listener.datagrams_to_send(world.now)]
    assert set(answers) <= {"WELCOME", "RETRY"}, "to the HELLO of the other client"
    assert before == (dict(world.server.connections), world.client.connection)
    assert world.client.dialer.failed is None
    finished(world, retries=int(point == "RETRY"))
    as_asked(world, pattern, "chacha")


@pytest.mark.parametrize("point", ["HELLO", "RETRY", "WELCOME"])
def test_an_offer_of_other_versions_is_failure_and_nothing_less(point):
    """It is not authenticated; all that it can do is to end the attempt."""
    for version in [0, *range(2, 256)]:
        world = held_before(point)
        offer = VersionOffer(
            destination_cid=world.client.dialer.local_cid,
            source_cid=b"server-1",
            versions=(version,),
        )
        world.client.receive(encode_long(offer), SERVER, world.now)
        assert "other protocol versions" in world.client.dialer.failed
        hellos = len(world.sent("HELLO"))
        world.fate = lambda name, nth: (DELAY_S,)
        world.run(5.0)
        assert (None, {}) == (world.client.connection, world.server.connections)
        assert hellos == len(world.sent("HELLO"))
        encrypted(world)


def test_packets_of_every_first_byte_meet_an_end_that_asked_for_encryption():
    """Flags of all types and versions, in plaintext and not, around true contents."""
    for point in NAMES:
        world = held_before(point)
        for data in {data for _, _, data in world.log}:
            for first in range(256):
                changed = bytes((first,)) + data[1:]
                if changed == data:
                    continue
                world.client.receive(changed, SERVER, world.now)
                world.server.receive(changed, CLIENT, world.now)
        world.server.listener.datagrams_to_send(world.now)
        finished(world, retries=int(point == "RETRY"))
        as_asked(world, "XK", "chacha")


@pytest.mark.parametrize("asks", ["client", "server"])
def test_who_asks_for_encryption_never_falls_back_to_plaintext(asks):
    """The other end speaks plaintext only: silence, and no datagram of ours in plaintext."""
    client = Client(client_security() if asks == "client" else Plain())
    server = Server(server_security() if asks == "server" else Plain())
    world = World(client=client, server=server)
    world.run(30.0)
    assert (None, {}) == (client.connection, server.connections)
    assert {"C HELLO"} == set(world.labels)
    ours = {data[0] & FLAG_ENCRYPTED for _, _, data in world.log}
    assert ours == ({FLAG_ENCRYPTED} if asks == "client" else {0})
