"""Strangers who want to use a server up, or to use it against others: floods, echoes, lies."""

import asyncio
import random
import socket
import struct
from collections import Counter

import pytest

import udpim
from tests.crypto.secure import client_security, server_security
from tests.hop.pair import RESET_TOKEN, connect
from tests.hop.secure_world import CLIENT, DELAY_S, SERVER, Client, Server, World, held_at, label
from tests.node.harness import Client as NodeClient
from tests.node.harness import Net
from tests.node.harness import Server as NodeServer
from tests.runtime.helpers import live, login, payloads, serve, take, until
from tests.runtime.sink import Sink
from tests.security.campaign import FirstFlood, GarbageFlood
from tests.security.stage import Ledger, Stage
from tests.security.strangers import FirstPackets, Garbage, addresses
from udpim.config import EARLY_BYTES_MAX, EARLY_BYTES_TOTAL_MAX
from udpim.crypto.noise.suites import X25519Pair
from udpim.crypto.security import Plain
from udpim.hop import connection as connection_module
from udpim.hop.codes import CloseKind, ConnectionState, Role
from udpim.hop.half_open import EARLY_DATAGRAMS_MAX
from udpim.node.early import Early
from udpim.runtime.endpoint_base import BURST_DATAGRAMS_MAX
from udpim.wire.packet import (
    DATAGRAM_BYTES_MAX,
    RESET_BYTES,
    SHORT_BYTES_MIN,
    Hello,
    Reset,
    VersionOffer,
    encode_long,
    parse_long,
)
from udpim.wire.parameters import PeerParameters, encode_parameters

COUNT = 2000
ELSEWHERE = ("203.0.113.66", 6)


@pytest.fixture
def dh_count(monkeypatch):
    """How many DH were done, as a list with an item for each."""
    done = []
    exchange = X25519Pair.exchange
    monkeypatch.setattr(
        X25519Pair, "exchange", lambda self, public: done.append(1) or exchange(self, public)
    )
    return done


# Floods; `make attacks` runs the same with a million each.


def test_garbage_meets_silence_and_honest_clients_connect(seed):
    """Attack 6 (handshake flood, spoofed), as far as it is garbage; 0 replies."""
    report = GarbageFlood(COUNT, seed).run()
    assert [] == report["problems"]
    assert (0, 0) == (report["replies"], report["bytes_out"])
    assert report["addresses"] > 0.9 * COUNT


def test_first_packets_with_a_right_mac_are_answered_with_no_more_than_they_bring(seed):
    """Attack 5 (amplification) and 6; adversary table, "spoofed source" and "handshake flood".

    The server's public key is known to the flood. Whatever address it claims gets no more bytes
    than came from there, tables stay small, and honest clients connect meanwhile.
    """
    report = FirstFlood(COUNT, seed).run()
    assert [] == report["problems"]
    assert 0 < report["worst_ratio"] <= 1.0
    assert report["replies"] > COUNT / 2
    assert report["honest_connected"] > 0


def test_a_judge_who_sees_nothing_would_be_no_judge(seed, monkeypatch):
    """The campaign finds fault with a server that answers too much, and with one that is deaf."""
    monkeypatch.setattr(Ledger, "came", lambda self, address, size: None)
    assert any("of what came" in words for words in FirstFlood(300, seed).run()["problems"])
    monkeypatch.undo()
    monkeypatch.setattr(Stage, "invite", lambda self: None)
    assert any("honest" in words for words in GarbageFlood(300, seed).run()["problems"])


def test_spoofed_floods_cost_no_dh_but_what_is_allowed(seed, dh_count):
    """Attack 6: no crypto for who does not know the key, and a bounded rate for who does."""
    rng = random.Random(seed)
    server = Server(hello_burst=10, hellos_per_s=50.0)
    world, hello = held_at("XK", "HELLO")
    garbage = Garbage(rng, [hello, *(data for _, _, data in world.log)])
    first, everywhere = FirstPackets(rng), addresses()
    dh_count.clear()
    for number in range(3000):
        server.receive(garbage(), everywhere[number], 100.0 + number / 1000)
    assert ([], 0) == (dh_count, server.listener.handshakes)
    for number in range(3000):
        server.receive(first(), everywhere[number], 103.0 + number / 1000)
    assert 0 < len(dh_count) <= 2 * (10 + 3 * 50 + 1), "es and ee, 50 times in a second"
    assert len(server.listener._admission) == 0, "nobody has proven an address"


@pytest.mark.parametrize("security", [Plain(), server_security()], ids=["plain", "encrypted"])
@pytest.mark.parametrize("proof", [False, True], ids=["", "with RETRY"])
def test_whatever_an_unproven_address_sends_it_gets_no_more_back(security, proof, seed):
    """Attack 5: at every moment and for each address, over all kinds of answers there are."""
    rng = random.Random(seed)
    plain = security == Plain()
    server = Server(security, always_retry=proof, unproven_handshakes_max=20)
    hellos = []
    for number in range(40):
        client = Client(Plain() if plain else client_security(), seed=seed + number)
        hellos += [data for data, _ in client.dialer.datagrams_to_send(100.0)]
    other = bytes((hellos[0][0] ^ 3,)) + hellos[0][1:]
    issued = [server.issuer.issue(rng.randbytes) for _ in range(10)]
    places = [("203.0.113.1", port) for port in range(30)]
    came, went, kinds = Counter(), Counter(), Counter()
    for turn in range(4000):
        data = rng.choice(
            [
                *(rng.choice(hellos), rng.choice(hellos)),
                *(other, rng.randbytes(rng.randrange(500))),
                (b"\x41" + rng.choice(issued)).ljust(rng.choice([31, 32, 60]), b"x"),
                (b"\x01" + rng.choice(issued)).ljust(rng.choice([31, 32, 60]), b"x"),
            ]
        )
        place = rng.choice(places)
        came[place] += len(data)
        server.receive(data, place, 100.0 + turn / 500)
        for answer, destination in server.datagrams_to_send(100.0 + turn / 500):
            kinds[label(answer)] += 1
            went[destination] += len(answer)
            assert went[destination] <= came[destination]
    expected = {"RESET", "RETRY"} if proof else {"RESET", "RETRY", "WELCOME"}
    assert expected <= kinds.keys() <= {*expected, "VERSION"}
    assert plain == ("VERSION" in kinds), "the mac of another version is not right"


# Echoes.


def bounce(ends, data, steps=20):
    """Let two ends answer each other's answers; how many datagrams crossed."""
    crossed = [data]
    for step in range(steps):
        receiver, sender = ends[step % 2], ("192.0.2.9", 9000 + (step + 1) % 2)
        answers = []
        for datagram in crossed[-1:]:
            receiver.receive(datagram, sender, 100.0 + step)
        answers = [answer for answer, _ in receiver.datagrams_to_send(100.0 + step)]
        if not answers:
            return crossed[1:]
        crossed += answers[:1]
    raise AssertionError(f"it goes on and on: {list(map(label, crossed))}")


@pytest.mark.parametrize("security", [Plain(), server_security()], ids=["plain", "encrypted"])
@pytest.mark.parametrize("proof", [False, True], ids=["", "with RETRY"])
def test_two_servers_that_are_made_to_talk_to_each_other_fall_silent(security, proof):
    """Attack 15 (reset loop); adversary table, "reflection loop": an error is never answered.

    Both have the same secret, as two processes of one server might: the worst case, for each
    believes in the ids of the other.
    """
    plain = security == Plain()
    ends = [Server(security, seed=n, always_retry=proof) for n in (2, 3)]
    cid = ends[0].issuer.issue(random.Random(1).randbytes)
    client = Client(Plain() if plain else client_security())
    ((hello, _),) = client.dialer.datagrams_to_send(100.0)
    parameters = encode_parameters(PeerParameters(nonce=bytes(16)))
    starts = {
        "a short packet": (b"\x41" + cid).ljust(1200, b"x"),
        "HELLO": hello,
        "HELLO of another version": bytes((hello[0] ^ 3,)) + hello[1:],
        "VERSION": encode_long(
            VersionOffer(destination_cid=cid, source_cid=cid, versions=tuple(range(2, 250)))
        ).ljust(400, b"\0"),
        "RESET": encode_long(Reset(cid=cid, token=ends[0].issuer.reset_token(cid))),
        "HELLO from nowhere": encode_long(
            Hello(source_cid=bytes(8), token=b"", payload=parameters)
        ),
    }
    longest = 0
    for start in starts.values():
        crossed = bounce(ends, start)
        assert len(crossed) <= 1, "one answer, and that is not answered"
        assert sum(map(len, crossed)) <= len(start)
        longest = max(longest, len(crossed))
    assert 1 == longest, "some were answered"


def test_a_storm_of_packets_of_lost_connections_gets_few_resets():
    """Attack 15: rate-limited, each shorter than what asked for it, and only for ids of ours."""
    server = Server(resets_per_s=10.0, reset_burst=20)
    draw = random.Random(3).randbytes
    took = gave = 0
    for turn in range(3000):
        cid = server.issuer.issue(draw) if turn % 2 else draw(8)
        data = (b"\x41" + cid).ljust(SHORT_BYTES_MIN, b"x")
        took += len(data)
        server.receive(data, ELSEWHERE, 100.0 + turn / 1000)
        for answer, _ in server.datagrams_to_send(100.0 + turn / 1000):
            assert RESET_BYTES == len(answer) < len(data)
            gave += 1
    assert 20 + 30 >= gave >= 40
    assert {"unknown connection id": 1500, "too many resets": 1500 - gave} == server.listener.drops


def test_a_reset_token_is_compared_in_constant_time_and_guesses_are_counted(monkeypatch):
    """Attack 15 (reset oracle)."""
    compared = []

    def compare(given, known):
        compared.append(given)
        return given == known

    monkeypatch.setattr(connection_module, "compare_digest", compare)
    client = connect(Role.CLIENT)
    for guess in range(1000):
        assert not client.receive_reset(guess.to_bytes(16, "big"), 1.0)
    assert (1000, {"wrong reset token": 1000}) == (len(compared), client.drops)
    assert ConnectionState.OPEN is client.state
    assert client.receive_reset(RESET_TOKEN, 1.0)
    assert CloseKind.RESET is client.closed.kind


# Memory before anybody is known.


def test_what_waits_for_a_finish_is_little_and_goes_with_the_handshake():
    """Attack 8 (handshake buffer): four datagrams for each of a bounded number of handshakes."""
    server = Server(unproven_handshakes_max=16)
    first = FirstPackets(random.Random(1))
    for number in range(100):
        server.receive(first.true(), ("203.0.113.7", number), 100.0)
    welcomes = [data for data, _ in server.datagrams_to_send(100.0) if label(data) == "WELCOME"]
    assert 16 == len(welcomes)
    for welcome in welcomes:
        for _ in range(50):
            data = b"\x41" + parse_long(welcome).source_cid
            server.receive(data.ljust(DATAGRAM_BYTES_MAX, b"x"), ELSEWHERE, 100.1)
    table = server.listener._handshakes
    kept = [len(data) for one in table._by_cid.values() for data, _ in one.early]
    assert 16 * EARLY_DATAGRAMS_MAX == len(kept)
    assert sum(kept) <= 16 * EARLY_DATAGRAMS_MAX * DATAGRAM_BYTES_MAX
    assert 16 * 46 == server.listener.drops["too many packets before FINISH"]
    server.receive(b"", ELSEWHERE, 111.0)
    server.receive((b"\x41" + bytes(8)).ljust(50), ELSEWHERE, 111.0)
    assert (0, {}) == (server.listener.handshakes, table._by_cid)


@pytest.mark.parametrize("size", [0, 1, 300, 1100, 65_535])
def test_a_hello_is_one_datagram_and_nothing_waits_for_more(size, dh_count):
    """Attack 8: the handshake has no stream that could be filled; what is too long is no HELLO."""
    server = Server()
    hello = FirstPackets(random.Random(1)).true()
    dh_count.clear()
    cut = hello[:20] + struct.pack(">H", min(size, 65_535)) + hello[22:]
    server.receive(cut, ELSEWHERE, 100.0)
    server.receive(hello + bytes(size + 1), ELSEWHERE, 100.0)
    assert ([], [], 0) == (
        server.datagrams_to_send(100.0),
        dh_count,
        server.listener.handshakes,
    )


def test_what_waits_for_a_login_is_bounded_for_one_and_for_all():
    """Attack 8, one floor up: packets that come before a login is answered."""
    early, link = Early(), object()
    while early.keep(link, [None], 1000):
        pass
    assert EARLY_BYTES_MAX - 1000 < early.bytes <= EARLY_BYTES_MAX
    others = [object() for _ in range(EARLY_BYTES_TOTAL_MAX // EARLY_BYTES_MAX + 5)]
    taken = sum(early.keep(other, [None], EARLY_BYTES_MAX) for other in others)
    assert early.bytes <= EARLY_BYTES_TOTAL_MAX
    assert 0 < taken < len(others)


def test_connections_without_a_login_go_away():
    """Attack 6: who finishes handshakes and says nothing more keeps no connection for long."""
    net = Net()
    server = NodeServer(net)
    server.verdict = lambda effect: "wait"
    for number in range(20):
        NodeClient(net, f"mallory/{number}").dial()
    net.run(1.0)
    assert 20 == server.node.links
    for client in [peer for peer in net.peers.values() if isinstance(peer, NodeClient)]:
        del net.peers[client.address]
    net.run(60.0)
    assert 0 == server.node.links


# What the operating system hands over.


def empty_out(address, count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(count):
            sock.sendto(b"", address)


@live
@pytest.mark.parametrize("kind", ["linux", "portable"])
async def test_empty_datagrams_count_as_any_other(kind):
    """Attack 17 (zero-length datagrams starve the loop): a burst ends, and others have a turn."""
    sink, turns = Sink(), 0
    endpoint = await sink.open(kind)
    done = asyncio.Event()

    def turn():
        nonlocal turns
        turns += 1
        if not done.is_set():
            asyncio.get_running_loop().call_soon(turn)

    empty_out(endpoint.address, 200)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"true", endpoint.address)
    turn()
    await until(lambda: len(sink.datagrams) == 201)
    done.set()
    assert b"true" == sink.datagrams[-1][0]
    assert max(map(len, sink.bursts)) <= BURST_DATAGRAMS_MAX
    assert turns >= len(sink.bursts) >= 201 // BURST_DATAGRAMS_MAX
    await endpoint.close()


@live
async def test_a_flood_of_empty_datagrams_starves_nobody():
    """Attack 17, at a live server: counted, and messages go on."""
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        for number in range(10):
            empty_out(server.address, 300)
            receipt = await alice.send("bob", b"%d" % number)
            assert [b"%d" % number] == [message.payload for message in await take(bob, 1)]
            assert udpim.MessageState.DELIVERED is await receipt
        assert server.stats()["drops"]["listener: empty datagram"] > 1000
        assert 1 == alice.stats()["logins"] == bob.stats()["logins"]


def test_empty_datagrams_mean_nothing_to_a_node():
    """Attack 17, in the cores: dropped by name, before and after the handshake."""
    world = World()
    for end, source in ((world.client, SERVER), (world.server, CLIENT)):
        end.receive(b"", source, world.now)
    world.connect()
    for end, source in ((world.client, SERVER), (world.server, CLIENT)):
        end.receive(b"", source, world.now)
    assert 2 == world.server.listener.drops["empty datagram"]


def icmp(kind, code, source, destination, mtu=0):
    """An ICMP error about a datagram from one port to another, as anybody may write it."""
    inner = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 60, 1, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1"
    ) + struct.pack(">HHHH", source, destination, 40, 0)
    body = struct.pack(">BBHHH", kind, code, 0, 0, mtu) + inner
    total = sum(struct.unpack(f">{len(body) // 2}H", body))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return body[:2] + struct.pack(">H", ~total & 0xFFFF) + body[4:]


@live
@pytest.mark.parametrize("kind", ["linux", "portable"])
async def test_forged_icmp_errors_close_nothing(kind, monkeypatch):
    """Attack 21 (ICMP spoof): unreachable, too big, time exceeded, about each direction."""
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except PermissionError:
        pytest.skip("raw sockets are not allowed here")
    monkeypatch.setenv("UDPIM_ENDPOINT", kind)
    with raw:
        async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
            ports = alice._sockets.address[1], server.address[1]
            for pair in (ports, ports[::-1]):
                for kind_, code in ((3, 0), (3, 1), (3, 2), (3, 3), (3, 4), (3, 13), (11, 0)):
                    for mtu in (0, 68, 576):
                        raw.sendto(icmp(kind_, code, *pair, mtu), ("127.0.0.1", 0))
            receipts = await alice.send_many("bob", payloads(20))
            assert 20 == len(await take(bob, 20))
            assert {udpim.MessageState.DELIVERED} == {await receipt for receipt in receipts}
            assert (udpim.LinkState.ONLINE, 1) == (alice.state, alice.stats()["logins"])


@live
async def test_errors_that_the_kernel_reports_close_nothing():
    """Attack 21: what an ICMP error becomes at a socket is counted, and the session goes on."""
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        for error in (ConnectionRefusedError(111, "refused"), OSError(113, "no route"), OSError()):
            for endpoint in (alice._sockets._endpoint, bob._sockets._endpoint):
                endpoint.error_received(error)
        receipt = await alice.send("bob", b"hi")
        assert [b"hi"] == [message.payload for message in await take(bob, 1)]
        assert udpim.MessageState.DELIVERED is await receipt
        assert 1 == alice.stats()["logins"]
        assert 1 == alice.stats()["endpoint"]["error ECONNREFUSED"]


def test_a_forged_reset_closes_nothing(seed):
    """Attack 21 (RST spoof): without the token, whatever else is right."""
    rng = random.Random(seed)
    world = World()
    world.connect()
    client, server = world.client.connection, world.server.connection
    for _ in range(1000):
        reset = encode_long(Reset(cid=client.remote_cid, token=rng.randbytes(16)))
        world.client.receive(reset, SERVER, world.now)
        assert not client.receive_reset(rng.randbytes(16), world.now)
        world.server.receive(encode_long(Reset(cid=server.remote_cid, token=bytes(16))), CLIENT, 1)
    world.fate = lambda name, nth: (DELAY_S,)
    world.run(2.0)
    world.check()


def proven_hello(server, address, seed):
    """A client that proves its address and begins a handshake, which it will never finish."""
    client = Client(seed=seed)
    for _ in range(2):
        for data, _ in client.dialer.datagrams_to_send(server.now):
            server.receive(data, address, server.now)
        for answer, _ in server.datagrams_to_send(server.now):
            client.dialer.receive_datagram(answer, SERVER, server.now)


def test_a_crowd_of_proven_addresses_that_finish_nothing_keeps_nobody_out():
    """Attack 6 by who owns some addresses: the oldest unfinished handshake makes room."""
    server = Server(always_retry=True, handshakes_max=20)
    server.now = 100.0
    world = World(server=server)

    def crowd(first, last):
        server.now = world.now
        for number in range(first, last):
            proven_hello(server, (f"203.0.113.{number % 7}", 1000 + number), 500 + number)

    crowd(0, 30)
    assert 20 == server.listener.handshakes
    for turn in range(15):
        crowd(30 + 3 * turn, 33 + 3 * turn)
        world.run(0.02)
    world.run(1.0)
    world.check()
    assert 20 == server.listener.handshakes
    assert "too many handshakes" not in server.listener.drops
