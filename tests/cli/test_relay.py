"""The relay: fates are seeded, and its counters are what two sockets see."""

import asyncio
import socket
from contextlib import closing
from dataclasses import asdict
from random import Random

import pytest

from udpim.cli import relay as module
from udpim.cli.relay import Faults, Lane, Relay
from udpim.errors import ConfigError

PATIENCE_S = 20


def lane(seed, **faults):
    return Lane(Faults(**faults), Random(seed))


def fates(lane, count=2000):
    return [lane.departures(n * 0.001) for n in range(count)]


def test_the_same_seed_gives_the_same_fates(seed):
    faults = {"loss": 0.2, "duplicate": 0.1, "reorder": 0.1, "delay_s": 0.01, "jitter_s": 0.005}
    assert fates(lane(seed, **faults)) == fates(lane(seed, **faults))
    assert fates(lane(seed, **faults)) != fates(lane(seed + 1, **faults))


def test_a_fault_that_is_switched_on_leaves_the_other_fates_alone(seed):
    plain = fates(lane(seed, loss=0.3))
    doubled = fates(lane(seed, loss=0.3, duplicate=0.5))
    assert [bool(f) for f in plain] == [bool(f) for f in doubled]


def test_counters_of_a_lane_are_its_fates(seed):
    tried = lane(seed, loss=0.2, duplicate=0.1)
    copies = [len(f) for f in fates(tried)]
    assert 2000 == tried.counters.received
    assert copies.count(0) == tried.counters.dropped
    assert copies.count(2) == tried.counters.duplicated
    assert 300 < tried.counters.dropped < 500
    assert 100 < tried.counters.duplicated < 220


def test_jitter_alone_changes_no_order(seed):
    whens = [f[0] for f in fates(lane(seed, delay_s=0.01, jitter_s=0.05))]
    assert sorted(whens) == whens
    assert all(0.01 <= when - n * 0.001 for n, when in enumerate(whens))


def test_what_is_held_back_is_overtaken_and_counted(seed):
    tried = lane(seed, reorder=0.1, delay_s=0.01)
    order = sorted((f[0], n) for n, f in enumerate(fates(tried)))
    for _, n in order:
        tried.on_sent(n, sent=True)
    newest, late = -1, 0
    for _, n in order:
        late += n < newest
        newest = max(n, newest)
    assert 100 < late < 300
    assert late == tried.counters.reordered


def test_what_cannot_leave_is_counted_as_overflowed():
    tried = lane(1)
    tried.on_sent(1, sent=False)
    assert (1, 0) == (tried.counters.overflowed, tried.counters.sent)


@pytest.mark.parametrize(
    "faults",
    [{"loss": 1.0}, {"duplicate": -0.1}, {"reorder": 2}, {"delay_s": -1}, {"jitter_s": 11}],
)
def test_impossible_faults_are_refused(faults):
    with pytest.raises(ConfigError, match=next(iter(faults)).removesuffix("_s")):
        Faults(**faults)


def udp(host="127.0.0.1"):
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((host, 0))
    return sock


async def send(relay, client, datagrams):
    """Send through the relay, with turns of the loop between, so that no buffer overflows."""
    for data in datagrams:
        client.sendto(data, relay.address)
        await asyncio.sleep(0)


async def received(sock, count):
    got = []
    async with asyncio.timeout(PATIENCE_S):
        while len(got) < count:
            got.append(await asyncio.get_running_loop().sock_recvfrom(sock, 2048))
    return got


def drained(sock):
    """Nothing waits in this socket."""
    try:
        sock.recv(2048)
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_counters_are_what_the_sockets_see(host, seed):
    async def scenario():
        seen = []
        faults = Faults(loss=0.2, duplicate=0.1, reorder=0.1, delay_s=0.002, jitter_s=0.001)
        with closing(udp(host)) as server, closing(udp(host)) as client:
            async with Relay(
                server.getsockname()[:2],
                up=faults,
                down=Faults(),
                seed=seed,
                watch=lambda data, up: seen.append((data, up)),
            ) as relay:
                sent = [b"%d" % n for n in range(300)]
                twin = Lane(faults, Random(f"{seed} up"))
                copies = sum(len(twin.departures(0)) for _ in sent)
                _, got = await asyncio.gather(send(relay, client, sent), received(server, copies))
                assert drained(server)
                counters = relay.up.counters
                assert [(data, True) for data in sent] == seen
                assert (300, 0, copies) == (counters.received, counters.overflowed, counters.sent)
                assert counters.dropped == 300 - len({data for data, _ in got})
                assert counters.duplicated == len(got) - len({data for data, _ in got})
                # The way back, over the one socket that stands for this client.
                assert 1 == len({source for _, source in got})
                server.sendto(b"back", got[0][1])
                assert [b"back"] == [data for data, _ in await received(client, 1)]
                assert {"received": 1, "sent": 1} == {
                    k: v for k, v in asdict(relay.down.counters).items() if v
                }

    asyncio.run(scenario())


def test_each_client_has_its_own_way_and_there_is_a_limit(monkeypatch):
    monkeypatch.setattr(module, "CLIENTS_MAX", 2)

    async def scenario():
        with closing(udp()) as server:
            clients = [udp() for _ in range(3)]
            async with Relay(server.getsockname(), up=Faults(), down=Faults(), seed=1) as relay:
                for n, client in enumerate(clients):
                    client.sendto(b"%d" % n, relay.address)
                got = await received(server, 2)
                assert 2 == len({source for _, source in got})
                for data, source in got:
                    server.sendto(b"re " + data, source)
                for n in range(2):
                    assert [b"re %d" % n] == [d for d, _ in await received(clients[n], 1)]
                # All three came by one socket in one order, so the third has been seen by now.
                assert 1 == relay.refused
            for client in clients:
                client.close()

    asyncio.run(scenario())


def test_a_full_relay_drops_and_counts(monkeypatch):
    monkeypatch.setattr(module, "WAITING_MAX", 5)

    async def scenario():
        last = asyncio.Event()

        def watch(data, up):
            if data == b"7":
                last.set()

        with closing(udp()) as server, closing(udp()) as client:
            async with Relay(
                server.getsockname(), up=Faults(delay_s=5), down=Faults(), seed=1, watch=watch
            ) as relay:
                for n in range(8):
                    client.sendto(b"%d" % n, relay.address)
                async with asyncio.timeout(PATIENCE_S):
                    await last.wait()
                assert 3 == relay.up.counters.overflowed

    asyncio.run(scenario())
