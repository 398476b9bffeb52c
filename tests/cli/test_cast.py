"""Everybody is logged in or nobody is, and what cannot be had is said before anything starts."""

import asyncio
import subprocess

import pytest

from tests.cli.processes import UDPIM, one_line
from udpim import Server
from udpim.cli import cast as module
from udpim.cli.cast import Cast, make_room
from udpim.errors import ConfigError, LoginError
from udpim.store.sqlite import SQLiteStore

TOKENS = {"../ζ/*": "right", "bob": "right", "carol": "right"}


def scenario(tmp_path, body, tokens):
    async def run():
        server = Server(authenticate=lambda login: login.token == "right", security="plain")
        async with server.listen("127.0.0.1", 0) as listening:
            await body(Cast(listening.address, tokens, tmp_path))

    asyncio.run(run())


def test_everybody_talks_from_a_store_file_of_their_own(tmp_path):
    async def body(cast):
        async with cast as clients:
            assert list(TOKENS) == sorted(clients, key=list(TOKENS).index)
            receipt = await clients["bob"].send("../ζ/*", b"hi")
            async for message in clients["../ζ/*"]:
                assert ("bob", b"hi") == (message.sender, message.payload)
                break
            await receipt
        stores = [cast.store(name) for name in TOKENS]
        assert stores == sorted(tmp_path.glob("*.db"))

    scenario(tmp_path, body, TOKENS)


def test_one_login_that_fails_closes_who_was_on_already(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOGINS_MAX", 1)  # so that somebody is

    async def body(cast):
        with pytest.raises(ExceptionGroup) as caught:
            async with cast:
                pytest.fail("nobody is on")
        assert caught.group_contains(LoginError)
        # A store that is still open could not be opened again.
        SQLiteStore(str(cast.store("../ζ/*")), kind="client").close()

    scenario(tmp_path, body, TOKENS | {"bob": "wrong"})


def test_clients_beyond_the_limit_are_refused(monkeypatch):
    monkeypatch.setattr(module, "CLIENTS_MAX", 3)
    make_room(3)
    with pytest.raises(ConfigError, match="4 clients are over the limit of 3"):
        make_room(4)


def test_a_low_limit_of_open_files_is_raised_and_a_hard_one_is_said():
    def demo(limit):
        command = f'ulimit {limit}; exec "$@"'
        words = ("demo", "--messages", "5", "--delay", "1", "--loss", "0")
        return subprocess.run(
            ["bash", "-c", command, "bash", *UDPIM, *words],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    assert 0 == demo("-Sn 40").returncode
    refused = demo("-Hn 60 -Sn 60")
    assert 1 == refused.returncode
    assert one_line(refused.stderr), refused.stderr
    assert "2 clients may have 74 files open, and the limit is 60" in refused.stderr


def test_everybody_comes_together_in_a_group(tmp_path):
    async def body(cast):
        async with cast as clients:
            await cast.gather("#all")
            assert set(TOKENS) == set(await clients["bob"].groups.members("#all"))

    scenario(tmp_path, body, TOKENS)
