"""Payloads of every size over real sockets and a bad network, both ways, in files and in memory."""

import asyncio
import random

import pytest

import udpim
from tests.runtime.helpers import serve, take
from udpim import MessageState
from udpim.cli.relay import Faults, Relay

SIZES = [0, 1, 1024, 1025, 1200, 65_507, 1024 * 1024]
BAD = Faults(loss=0.2, duplicate=0.1, reorder=0.1)
WAIT_S = 110.0


@pytest.mark.asyncio
@pytest.mark.parametrize("kept", ["memory", "files"])
async def test_payloads_of_every_size_cross_a_bad_network_once_and_in_order(seed, kept, tmp_path):
    def store(name):
        return None if kept == "memory" else str(tmp_path / name)

    rng = random.Random(seed)
    payloads = [rng.randbytes(size) for size in SIZES]
    async with (
        asyncio.timeout(WAIT_S),
        serve(store=store("server.db")) as server,
        Relay(server.address, up=BAD, down=BAD, seed=seed) as relay,
        login(relay, "alice", store("alice.db")) as alice,
        login(relay, "bob", store("bob.db")) as bob,
    ):
        there, back = await asyncio.gather(
            exchange(alice, bob, payloads), exchange(bob, alice, payloads[::-1])
        )
        assert there == payloads
        assert back == payloads[::-1]
        dropped = relay.up.counters.dropped + relay.down.counters.dropped
        assert dropped > 100, "a network without losses proves nothing"
        for client in (alice, bob):
            assert (1, 0) == (client.stats()["logins"], client.stats()["outbox"]["open_messages"])


def login(relay, user, store):
    host, port = relay.address
    return udpim.connect(
        f"udpim://{host}:{port}", user=user, security="plain", store=store, connect_timeout=60.0
    )


async def exchange(sender, recipient, payloads):
    """Send everything, see every receipt, and return what the recipient's program got."""
    taking = asyncio.create_task(take(recipient, len(payloads)))
    receipts = await sender.send_many(recipient.user, payloads)
    got = [message.payload for message in await taking]
    assert {MessageState.DELIVERED} == {await receipt for receipt in receipts}
    return got
