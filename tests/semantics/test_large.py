"""Large messages and slow receivers over the whole exchange (PROTOCOL §3.7, §3.8)."""

import random

import pytest

from tests.semantics.situations import bad, finish, got, met
from tests.settings import settings
from udpim.config import WINDOW_BYTES, ClientConfig, ServerConfig
from udpim.model import MessageState
from udpim.testing import World

SIZES = [0, 1, 1024, 1025, 1200, 65_507, 1024 * 1024]
MIB = 1024 * 1024


def window_of(client):
    return client.config.limits.bulk_window_bytes


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("durable_server", [True, False])
def test_payloads_of_every_size_cross_a_bad_network(seed, durable, durable_server):
    rng = random.Random(seed)
    world = World(seed, faults=bad(0.2))
    world.server(durable=durable_server)
    alice, bob = (world.client(name, durable=durable) for name in ("alice", "bob"))
    world.online(300)
    # Whether the server has a disk is nothing that the largest payload would notice.
    sizes = SIZES if durable_server else SIZES[:-1]
    payloads = [rng.randbytes(size) for size in sizes]
    alice.send("bob", payloads)
    bob.send("alice", payloads[::-1])
    world.settle(600)
    assert payloads == got(world, bob)
    assert payloads[::-1] == got(world, alice)
    finish(world)


def test_large_payloads_wait_in_the_queue_for_who_is_away(seed):
    world, alice, bob = met(seed)
    bob.crash()
    world.run(40)
    payloads = [bytes([i]) * 300_000 for i in range(12)]
    alice.send("bob", payloads)
    world.run(60)
    assert 0 == world.server().node.router.delivery.held.total()
    bob.start()
    world.settle(400)
    assert payloads == got(world, bob)[-12:]
    finish(world)


def test_slow_application_holds_back_the_sender_and_not_the_servers_memory(seed):
    world = World(seed)
    server = world.server().node
    alice, carol = world.client("alice"), world.client("carol")
    bob = world.client("bob", durable=False)
    world.online()
    bob.handle_after_s = None
    payloads = [bytes([i]) * 100_000 for i in range(100)]
    alice.send("bob", payloads)
    world.run(60)
    window = window_of(bob)
    assert window - 600_000 < sum(len(one[2]) for one in bob.waiting) <= window
    assert server.router.delivery.pushed_bytes <= WINDOW_BYTES + MIB
    assert server.router.delivery.held.total() == 0, "alice may write to others"
    assert sum(c.queued_bulk_bytes for c in server.connections()) <= window
    others = carol.send("alice", [b"small"]), alice.send("carol", [bytes(300_000)] * 20)
    world.run(10)
    assert carol.states(others[0]) == {"DELIVERED": 1}, "other conversations go on"
    assert alice.states(others[1]) == {"DELIVERED": 20}, "also those of the same sender"
    bob.handle_after_s = 0.0
    bob.handle()
    world.settle(400)
    assert [p for p in got(world, bob) if len(p) > 10] == payloads
    assert server.router.delivery.held.total() == server.router.delivery.pushed_bytes == 0
    finish(world)


def test_more_than_a_session_may_hold_goes_to_its_queue(seed):
    config = settings(ServerConfig, session_bytes_max=500_000)
    world = World(seed)
    world.server(config=config)
    alice = world.client("alice")
    bob = world.client("bob", durable=False)
    world.online()
    bob.handle_after_s = None
    payloads = [bytes([i]) * 100_000 for i in range(30)]
    sent = alice.send("bob", payloads)
    world.run(30)
    states = alice.states(sent)
    assert states["STORED"] >= 5
    assert world.server().node.router.delivery.held.total() <= 700_000
    assert world.server().node.router.delivery.pushed_bytes <= 600_100
    bob.handle_after_s = 0.0
    bob.handle()
    world.settle(400)
    assert payloads == got(world, bob)
    finish(world)


def test_payload_beyond_the_servers_limit_is_rejected_and_the_next_one_is_not(seed):
    world = World(seed)
    world.server(config=settings(ServerConfig, payload_bytes_max=100_000))
    alice, bob = world.client("alice"), world.client("bob")
    world.online()
    alice.send("bob", [b"first"])
    world.settle()
    sent = alice.send("bob", [bytes(100_001), bytes(100_000)])
    world.settle()
    assert alice.states(sent) == {"REJECTED": 1, "DELIVERED": 1}
    assert got(world, bob) == [b"first", bytes(100_000)]
    finish(world)


def test_client_emits_large_payloads_as_the_hop_takes_them(seed):
    """What waits for the hop stays in the outbox, one payload aside."""
    world = World(seed)
    world.server()
    config = settings(ClientConfig, user="alice", device="phone", hop_bytes_max=100_000)
    alice, bob = world.client("alice", config=config), world.client("bob")
    world.online()
    alice.send("bob", [bytes([i]) * MIB for i in range(8)])
    most = 0
    for _ in range(300):
        world.run(0.02)
        most = max(most, alice.node.connection.queued_bulk_bytes)
    world.settle(400)
    assert 0 < most <= MIB + 100_000 + 100
    assert [p[0] for p in got(world, bob)] == list(range(8))
    assert all(state is MessageState.DELIVERED for state in map(alice.state, world.history.sends))
    finish(world)
