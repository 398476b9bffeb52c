"""A live server and client under garbage: nothing is believed, nothing grows, all is counted."""

import contextlib
import random
import socket
from pathlib import Path

import udpim
from tests.runtime.helpers import live, login, payloads, serve, take, turns, until
from udpim import MessageState

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

    client._endpoint._on_burst = tapped
    yield
    client._endpoint._on_burst = receive


@live
async def test_a_hundred_thousand_wrong_datagrams_change_nothing(seed, caplog):
    rng, samples = random.Random(seed), []
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        with recording(alice, samples), recording(bob, samples):
            receipts = await alice.send_many("bob", payloads(100))
            await take(bob, 100)
            assert {MessageState.DELIVERED} == {await receipt for receipt in receipts}
        client = ("127.0.0.1", alice._endpoint.address[1])
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
