"""A live server and client under garbage: nothing is believed, nothing grows, all is counted."""

import asyncio
import contextlib
import os
import random
import socket
from pathlib import Path

import udpim
from tests.runtime.helpers import live, login, payloads, serve, take, turns, until
from udpim import MessageState
from udpim.crypto.protection import PlaintextProtection
from udpim.hop.config import HopConfig
from udpim.hop.dial import Dialer
from udpim.model import StreamId
from udpim.wire import im_packets as p
from udpim.wire.frames import encode_bulk, encode_fragment
from udpim.wire.im_codec import encode, encode_section
from udpim.wire.packet import VERSION, encode_short_header

DATAGRAMS = 100_000
SENT_A_TURN = 50
GROWTH_BYTES_MAX = 16 * 1024 * 1024
PAGE_BYTES = 4096


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def garbage(rng, samples):
    """Random bytes, a real datagram cut short, or one with some bits flipped."""
    kind = rng.random()
    if kind < 0.3:
        return rng.randbytes(rng.randrange(1, 1300))
    data = bytearray(rng.choice(samples))
    if kind < 0.6:
        return data[: rng.randrange(1, len(data))]
    for _ in range(rng.randrange(1, 4)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


@contextlib.contextmanager
def recording(client, samples):
    """Keep a copy of every datagram that the client receives meanwhile."""
    receive = client._driver.receive

    def tapped(burst):
        samples.extend(data for data, _ in burst)
        receive(burst)

    client._sockets._endpoint._on_burst = tapped
    yield
    client._sockets._endpoint._on_burst = receive


@live
async def test_a_hundred_thousand_wrong_datagrams_change_nothing(seed, caplog):
    rng, samples = random.Random(seed), []
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        with recording(alice, samples), recording(bob, samples):
            receipts = await alice.send_many("bob", payloads(100))
            await take(bob, 100)
            assert {MessageState.DELIVERED} == {await receipt for receipt in receipts}
        client = ("127.0.0.1", alice._sockets.address[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for i in range(DATAGRAMS):
                sock.sendto(garbage(rng, samples), client if i % 2 else server.address)
                if i % SENT_A_TURN == 0:
                    await turns(1)
                if i == DATAGRAMS // 10:
                    before = resident_bytes()
        for side in (alice, server):
            await until(lambda side=side: side.stats()["endpoint"]["datagrams_waiting"] == 0)
            assert sum(side.stats()["drops"].values()) > 0.4 * DATAGRAMS
        receipt = await alice.send("bob", b"still here")
        assert [b"still here"] == [m.payload for m in await take(bob, 1)]
        assert MessageState.DELIVERED is await receipt
        assert (udpim.LinkState.ONLINE, 1) == (alice.state, alice.stats()["logins"])
        assert resident_bytes() - before < GROWTH_BYTES_MAX
    assert [] == [record for record in caplog.records if record.name == "udpim"]


PIECE_BYTES = 1000
GROUPS = udpim.Limits().reassembly_groups_max


class Mallory:
    """Has a login, and then sends valid packets that no honest client would send."""

    def __init__(self, sock, server):
        self.sock = sock
        self.number = 10_000
        now = asyncio.get_running_loop().time()
        self.dialer = Dialer(server=server, config=HopConfig(), random_bytes=os.urandom, now=now)
        sock.setblocking(False)
        sock.connect(server)

    async def log_in(self):
        loop, dialer = asyncio.get_running_loop(), self.dialer
        while dialer.connection is None:
            for data, _ in dialer.datagrams_to_send(loop.time()):
                self.sock.send(data)
            answer = await loop.sock_recv(self.sock, 2000)
            dialer.receive_datagram(answer, self.sock.getpeername(), loop.time())
        connection = dialer.connection
        login = p.Login("mallory", "m", b"", 1, 1)
        connection.send_frame(encode(login), None, loop.time())
        for data, _ in connection.datagrams_to_send(loop.time()):
            self.sock.send(data)

    def send(self, frame):
        header = encode_short_header(VERSION, self.dialer.connection.remote_cid, self.number)
        sealed = PlaintextProtection().seal(header, self.number, frame)
        self.number += 1
        self.sock.send(header + sealed)


@live
async def test_a_flood_of_first_pieces_costs_its_sender_only():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            mallory = Mallory(sock, server.address)
            await mallory.log_in()
            await until(lambda: server.stats()["sessions"] == 3)
            before = resident_bytes()
            exchanging = asyncio.create_task(exchange(alice, bob))

            def pieces_bytes():
                return server.stats()["hop"]["reassembly_bytes"]

            while pieces_bytes() < GROUPS * PIECE_BYTES or not flood_drops(server):
                for group in range(GROUPS + 500):
                    number = 1 + group  # 0 was the login's
                    mallory.send(encode_fragment(number, group, 0, 900, bytes(PIECE_BYTES)))
                    if group % SENT_A_TURN == 0:
                        await turns(1)
            await exchanging
            assert GROUPS * PIECE_BYTES == pieces_bytes() <= udpim.Limits().bulk_window_bytes
            assert resident_bytes() - before < GROWTH_BYTES_MAX
            # Her own messages go on as well, while she has credit.
            to_bob = StreamId("", "", 1, "bob")
            body = encode_section(1, [1], [b"from mallory"])
            message = p.MsgR(1, to_bob, 1, (p.EpochRun(1, 3),), 0, body)  # the third device
            mallory.send(encode_bulk(1 + GROUPS, encode(message)))
            assert [b"from mallory"] == [m.payload for m in await take(bob, 1)]
        assert [1, 1] == [client.stats()["logins"] for client in (alice, bob)]


def flood_drops(server):
    return server.stats()["drops"].get("hop: too many bodies in pieces", 0)


async def exchange(sender, recipient):
    receipts = await sender.send_many("bob", payloads(200))
    assert payloads(200) == [m.payload for m in await take(recipient, 200)]
    assert {MessageState.DELIVERED} == {await receipt for receipt in receipts}
