"""Many clients lose their server in the same instant: no peak of attempts awaits it (PROTOCOL §6).

Ten thousand are driven node by node in virtual time, with attempts that nobody answers: a world
with its oracle would keep every datagram. What a single attempt does is `udpim.hop.dial`'s affair.
"""

import random
from collections import Counter
from functools import cache
from heapq import heapify, heappop, heappush

import pytest

from tests.semantics.situations import payloads
from udpim.config import ClientConfig
from udpim.hop.stats import HopStats
from udpim.im.records import ClientSnapshot
from udpim.node import client as client_module
from udpim.node.client import ClientNode
from udpim.node.events import LinkChanged
from udpim.node.state import LinkState
from udpim.testing import World

CLIENTS = 10_000
SERVER = ("192.0.2.1", 9000)
NOTHING_COUNTED = HopStats()
SPREAD_S = 70
"""By then the first peaks have run into each other."""


class Unanswered:
    """An attempt that hears nothing; its end is the node's own deadline."""

    def __init__(self, **settings):
        self.drops = {}
        self.stats = NOTHING_COUNTED

    def handle_timeout(self, now):
        pass

    def next_timeout(self):
        return None

    def datagrams_to_send(self, now):
        return []


def attempts_by_second(seed, until_s):
    """Let all dial a server that is not there, from the same instant on."""
    counts = Counter()
    heap = []
    for number in range(CLIENTS):
        node = ClientNode(
            ClientConfig(user=f"user{number}", device="phone"),
            ClientSnapshot(),
            durable=True,
            random_bytes=random.Random(f"{seed}:{number}").randbytes,
            now=0.0,
        )
        node.connect(SERVER, 0.0)
        heap.append((0.0, number, node))
    heapify(heap)
    while heap[0][0] < until_s:
        now, number, node = heappop(heap)
        node.handle_timeout(now)
        while node.next_effect() is not None:
            pass
        assert [] == node.datagrams_to_send(now)
        while (event := node.next_event()) is not None:
            if isinstance(event, LinkChanged) and event.state is LinkState.DIALING:
                counts[int(now)] += 1
        heappush(heap, (node.next_timeout(), number, node))
    return [counts[second] for second in range(until_s)]


@cache
def attempts():
    """Attempts of each second after the loss; not a fixture, for coverage would trace that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_module, "Dialer", Unanswered)
        return attempts_by_second("ten thousand", 110)


def test_ten_thousand_clients_come_back_without_a_peak():
    later = attempts()[SPREAD_S:]
    mean = sum(later) / len(later)
    assert mean > CLIENTS / 40, "nobody gives up"
    assert max(later) < 1.3 * mean, "flat, whenever the server is back"
    assert min(later) > 0.7 * mean


def test_peaks_fall_until_they_have_run_into_each_other():
    tops = [max(attempts()[at : at + 10]) for at in range(0, SPREAD_S, 10)]
    assert tops == sorted(tops, reverse=True)
    assert tops[0] == CLIENTS, "the first attempt comes at once"
    assert tops[-1] < CLIENTS / 10


def test_clients_of_a_restarted_server_dial_it_once_each(seed):
    world = World(seed)
    world.server()
    clients = [world.client(f"user{number}") for number in range(50)]
    world.online()
    clients[0].send("user1", payloads(1))
    hellos = world.network.intercept("HELLO", copies=None, drop=False)
    world.server().restart()
    world.run_until(lambda: all(len(client.links) > 3 for client in clients))
    world.online()
    assert hellos.seen == len(clients)
    world.run(60)
    assert hellos.seen == len(clients)
    world.check()
