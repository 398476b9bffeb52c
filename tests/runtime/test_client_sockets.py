"""A client that goes on from another socket, over loopback."""

import asyncio

import pytest

import udpim
from tests.runtime.helpers import live, login, payloads, serve, take, turns, until
from udpim import MessageState
from udpim.errors import ConnectError, ConnectionClosed
from udpim.hop import nat
from udpim.runtime import client_sockets
from udpim.runtime.endpoint import open_endpoint

PLACES = [None, *(f"127.0.0.{n}" for n in range(2, 8)), None, "127.0.0.2", None]
"""Another port, and another address, ten times."""


def pair(security):
    """(a context with a server, how to log in there)."""
    if security == "plain":
        return serve(), login

    def log_in(listening, user, **options):
        host, port = listening.address
        address = f"udpim://{host}:{port}"
        return udpim.connect(
            address, user=user, security="require", server_key=listening.public_key, **options
        )

    return udpim.Server(security="require", open_to_all=True).listen("127.0.0.1", 0), log_in


@pytest.mark.parametrize("security", ["plain", "require"])
@live
async def test_ten_changes_of_the_socket_end_no_connection_and_lose_nothing(security):
    serving, log_in = pair(security)
    async with serving as server, log_in(server, "alice") as alice, log_in(server, "bob") as bob:
        taking = asyncio.create_task(take(bob, 2000))
        receipts = []
        for turn, place in enumerate(PLACES):
            receipts += await alice.send_many("bob", payloads(100, b"%d-" % turn))
            await alice.rebind(place)
            receipts += await alice.send_many("bob", payloads(100, b"%d+" % turn))
            await bob.rebind(place)
            await until(lambda: alice.stats()["hop"]["in_flight_frames"] == 0)
        for receipt in receipts:
            assert MessageState.DELIVERED is await receipt
        marks = [b"%d%s" % (turn, sign) for turn in range(10) for sign in (b"-", b"+")]
        sent = [payload for mark in marks for payload in payloads(100, mark)]
        assert sent == [message.payload for message in await taking]
        for client in (alice, bob):
            stats = client.stats()
            assert (1, 10) == (stats["logins"], stats["hop"]["path_changes"])
            assert stats["hop"]["cids_changed"] + stats["hop"]["cids_short"] == 10


@live
async def test_an_address_of_another_machine_changes_nothing():
    async with serve() as server, login(server, "alice") as alice:
        before = alice._sockets.address
        with pytest.raises(ConnectError):
            await alice.rebind("192.0.2.1")
        assert before == alice._sockets.address
        assert 0 == alice.stats()["hop"]["path_changes"]
        assert udpim.LinkState.ONLINE is alice.state


@live
async def test_a_closed_client_goes_nowhere():
    async with serve() as server:
        client = await login(server, "alice")
        await client.close()
        with pytest.raises(ConnectionClosed):
            await client.rebind()


@pytest.fixture
def fast_trials(monkeypatch):
    """Silences that a test can wait for."""
    for name, seconds in {"BASE_S": 0.01, "FIRST_S": 0.02, "LIFE_S_MAX": 0.04}.items():
        monkeypatch.setattr(nat, name, seconds)


@live
async def test_bindings_are_measured_on_a_second_socket_which_is_closed_then(fast_trials):
    async with serve() as server, login(server, "alice", keepalive="learn") as alice:
        sockets, port = alice._sockets, alice._node.spare_port
        await until(lambda: sockets._spare is not None)
        assert sockets._spare.address != sockets.address
        await until(lambda: port.life_s == nat.LIFE_S_MAX)
        await until(lambda: sockets._spare is None)
        await alice.rebind("127.0.0.3")
        assert port.wanted
        await until(lambda: port.life_s == nat.LIFE_S_MAX)
        assert 1 == alice.stats()["logins"]


@live
async def test_a_client_that_is_closed_while_it_learns_leaves_nothing_open(fast_trials):
    async with serve() as server:
        for turns_before in range(0, 12, 3):
            async with login(server, "alice", keepalive="learn") as alice:
                await turns(turns_before)
            assert alice._sockets._change is None
            assert alice._sockets._spare is None


@live
async def test_without_a_second_socket_the_client_does_without(monkeypatch, fast_trials):
    async with serve() as server:
        opened = []

        async def one_only(*args, **more):
            opened.append(args)
            if len(opened) > 1:
                raise ConnectError("no further socket")
            return await open_endpoint(*args, **more)

        monkeypatch.setattr(client_sockets, "open_endpoint", one_only)
        async with login(server, "alice", keepalive="learn") as alice:
            await until(lambda: not alice._node.spare_port.wanted)
            assert 2 == len(opened)
            assert udpim.LinkState.ONLINE is alice.state


@live
async def test_a_spare_socket_that_is_lost_ends_the_learning_only(caplog):
    async with serve() as server, login(server, "alice", keepalive="learn") as alice:
        await until(lambda: alice._sockets._spare is not None)
        alice._sockets._spare._on_lost(OSError("gone"))
        await until(lambda: alice._sockets._spare is None)
        assert "gone" in caplog.text
        assert udpim.LinkState.ONLINE is alice.state
