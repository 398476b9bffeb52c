"""The demo's server process starts, dies, comes back on its port, and says why it cannot."""

import asyncio
import socket

import pytest

from udpim.cli.child import ServerProcess
from udpim.errors import ConnectError


def files(tmp_path):
    users = tmp_path / "users"
    users.write_text("alice one\n")
    return tmp_path / "server.db", users, "require"


def test_a_killed_server_comes_back_on_its_port_with_another_pid(tmp_path):
    async def scenario():
        server = ServerProcess(*files(tmp_path))
        assert not server.running
        await server.start()
        try:
            address, key = server.address, server.key
            assert key is not None
            assert server.running
            await server.kill()
            assert not server.running
            await server.start()
            assert (address, 2) == (server.address, len(set(server.pids)))
            assert key == server.key
        finally:
            await server.stop()
        assert not server.running
        assert "going down" not in server.complaints()

    asyncio.run(scenario())


def test_a_server_that_cannot_start_says_why(tmp_path):
    async def scenario():
        server = ServerProcess(*files(tmp_path))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            server.address = taken.getsockname()
            with pytest.raises(ConnectError, match=r"did not start: udpim: .*in use"):
                await server.start()
        await server.stop()

    asyncio.run(scenario())


def test_stopping_what_was_never_started_is_nothing(tmp_path):
    server = ServerProcess(*files(tmp_path))
    asyncio.run(server.stop())
    assert ("", []) == (server.complaints(), server.pids)
