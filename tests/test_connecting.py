"""Connecting: what is refused at once, what the network refuses, and what is left behind."""

import asyncio
import contextlib
import socket

import pytest

import udpim
from tests.runtime.helpers import live, login, serve


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"security": None}, 'security is "require" for encryption'),
        ({"security": "tls"}, 'security is "require" for encryption'),
        ({"server_key": "abc"}, "nothing checks the server"),
        ({"user": ""}, "user must have 1 to 32 bytes"),
        ({"device": "d" * 33}, "device must have 1 to 32 bytes"),
        ({"token": "t" * 2000}, "the limit is 1024"),
        ({"reconnect_s_max": 0}, "reconnect_s_max must be positive"),
        ({"keepalive": "often"}, 'keepalive is "fixed" or "learn"'),
        ({"connect_timeout": 0}, "timeouts must not be negative"),
        ({"address": "udpim://host:70000"}, "port 70000 is out of range"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(options, words):
    with pytest.raises(udpim.ConfigError, match=words):
        udpim.connect(**{"address": "udpim://h", "user": "alice", "security": "plain", **options})


@live
async def test_no_server_is_a_timeout():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(udpim.ConnectTimeout) as caught:
            await udpim.connect(
                f"udpim://127.0.0.1:{port}", user="a", security="plain", connect_timeout=0.2
            )
    assert (f"127.0.0.1:{port}", 0.2) == (caught.value.address, caught.value.timeout_s)


@live
async def test_an_unknown_host_is_named():
    with pytest.raises(udpim.ConnectError, match=r"unknown host no-such-host\.invalid"):
        await udpim.connect("udpim://no-such-host.invalid", user="a", security="plain")


@live
async def test_a_name_that_does_not_resolve_in_time_is_a_timeout(monkeypatch):
    async def never(host, port):
        await asyncio.Event().wait()

    monkeypatch.setattr("udpim.connecting.resolve", never)
    with pytest.raises(udpim.ConnectTimeout, match="no answer from slow:9000 within"):
        await udpim.connect("slow", user="a", security="plain", connect_timeout=0.01)


@live
async def test_without_a_socket_everything_is_closed_again(monkeypatch, tmp_path):
    async def refuse(family, address, *, on_burst, on_lost):
        raise udpim.ConnectError("no socket")

    monkeypatch.setattr("udpim.runtime.client_sockets.open_endpoint", refuse)
    for _ in range(2):
        with pytest.raises(udpim.ConnectError, match="no socket"):
            await udpim.connect("127.0.0.1", user="a", security="plain", store=tmp_path / "a.db")


@live
async def test_a_wrong_token_is_refused_for_good(tmp_path):
    file = tmp_path / "alice.db"
    async with serve(authenticate=lambda request: request.token == "right") as server:
        with pytest.raises(udpim.LoginError, match="wrong credentials"):
            await login(server, "alice", token="wrong", store=file)
        async with login(server, "alice", token="right", store=file) as alice:
            assert udpim.LinkState.ONLINE is alice.state


@live
async def test_a_busy_server_is_asked_again_until_the_timeout():
    limits = udpim.Limits(sessions_max=1)
    async with serve(limits=limits) as server, login(server, "alice"):
        with pytest.raises(udpim.HandshakeFailed, match="too many sessions"):
            await login(server, "bob", connect_timeout=0.5)


@live
async def test_a_store_of_another_endpoint_is_refused_and_released(tmp_path):
    file = tmp_path / "alice.db"
    async with serve() as server:
        async with login(server, "alice", store=file):
            with pytest.raises(udpim.StoreLocked):
                await login(server, "alice", store=file)
        with pytest.raises(udpim.ConfigError, match="the store belongs to alice/main"):
            await login(server, "bob", store=file)
        async with login(server, "alice", store=str(file)) as alice:
            assert "alice" == alice.user


@live
async def test_a_file_that_is_no_store_is_refused(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a store, and it must stay as it is\n" * 100)
    async with serve() as server:
        with pytest.raises(udpim.StoreFormat, match="not a udpim store"):
            await login(server, "alice", store=file)


async def login_when_released(server, file):
    """Log in as soon as an opening that was cancelled has come to its end on its thread."""
    while True:
        with contextlib.suppress(udpim.StoreLocked):
            return await login(server, "alice", store=file)
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("turns", [1, 2, 3, 10, 100, 1000])
@live
async def test_cancelling_leaves_no_lock_behind(turns, tmp_path):
    file = tmp_path / "alice.db"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"udpim://127.0.0.1:{silent.getsockname()[1]}"
        connecting = udpim.connect(address, user="alice", security="plain", store=file)
        dialling = asyncio.ensure_future(connecting.__aenter__())
        for _ in range(turns):
            await asyncio.sleep(0)
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
    async with serve() as server:
        client = await login_when_released(server, file)
        await client.close()


@live
async def test_the_client_of_an_await_is_a_context_too():
    async with serve() as server:
        client = await login(server, "alice")
        async with client as same:
            assert client is same
        assert udpim.LinkState.CLOSED is client.state


@live
async def test_of_several_addresses_one_that_answers_is_enough():
    async with serve() as server:
        host, port = server.address
        addresses = f"udpim://127.0.0.1:1,{host}:{port}"
        async with udpim.connect(addresses, user="alice", security="plain") as client:
            assert udpim.LinkState.ONLINE is client.state


@live
async def test_addresses_of_two_families_are_refused():
    with pytest.raises(udpim.ConfigError, match="some of the server's addresses are IPv4"):
        await udpim.connect("udpim://127.0.0.1:1,[::1]:1", user="alice", security="plain")


@live
async def test_a_timeout_names_all_addresses():
    with pytest.raises(udpim.ConnectTimeout, match=r"127\.0\.0\.1:1,127\.0\.0\.1:2"):
        await udpim.connect(
            "udpim://127.0.0.1:1,127.0.0.1:2", user="alice", security="plain", connect_timeout=0.1
        )
