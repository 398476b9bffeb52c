"""Presence as programs see it."""

import asyncio

import pytest

import udpim
from tests.runtime.helpers import live, login, serve, turns, until
from udpim import DevicePresence


@live
async def test_a_program_learns_who_is_there_and_since_when_others_are_not():
    async with serve(may_see=lambda asked: True) as server, login(server, "alice") as alice:
        async with login(server, "bob", device="phone"):
            presence = await alice.presence("bob")
            assert "bob" == presence.user
            assert {"phone": DevicePresence(online=True, last_seen_s=0)} == presence.devices
            assert presence.online
        await until(lambda: server.stats()["sessions"] == 1)
        presence = await alice.presence("bob")
        assert {"phone": DevicePresence(online=False, last_seen_s=0)} == presence.devices
        assert not presence.online
        with pytest.raises(udpim.UnknownUser):
            await alice.presence("mallory")
        with pytest.raises(udpim.ConfigError):
            await alice.presence("")


@live
async def test_what_the_server_has_not_seen_is_not_known(tmp_path):
    path = tmp_path / "server.db"
    async with serve(store=path) as server, login(server, "bob"):
        pass
    async with serve(store=path, may_see=lambda a: True) as server, login(server, "alice") as alice:
        presence = await alice.presence("bob")
        assert {"main": DevicePresence(online=False, last_seen_s=None)} == presence.devices


@live
async def test_without_a_hook_users_see_themselves_only():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob"):
        assert (await alice.presence("alice")).online
        for name in ("bob", "mallory"):
            with pytest.raises(udpim.PresenceRefused) as caught:
                await alice.presence(name)
            assert name == caught.value.user


@live
async def test_a_hook_may_take_its_time_and_decides_for_each():
    gate = asyncio.Event()

    async def may_see(asked):
        await gate.wait()
        return (asked.user, asked.device, asked.subject) == ("alice", "main", "bob")

    async with (
        serve(may_see=may_see) as server,
        login(server, "alice") as alice,
        login(server, "bob") as bob,
    ):
        asking = [asyncio.ensure_future(c.presence("bob")) for c in (alice, bob)]
        await until(lambda: server.stats()["presence_questions"] == 2)
        gate.set()
        assert (await asking[0]).online
        with pytest.raises(udpim.PresenceRefused):
            await asking[1]


@live
async def test_a_cancelled_question_is_forgotten_and_open_ones_are_limited():
    gate = asyncio.Event()

    async def never(asked):
        await gate.wait()
        return True

    async with serve(may_see=never) as server, login(server, "alice") as alice:
        asking = [asyncio.ensure_future(alice.presence("alice")) for _ in range(64)]
        await turns(3)
        with pytest.raises(udpim.TooManyInquiries):
            await alice.presence("alice")
        for task in asking[:10]:
            task.cancel()
        await asyncio.wait(asking[:10])
        assert 54 == alice.stats()["presence_questions"]
        gate.set()
        assert all([(await task).online for task in asking[10:]])
        assert 0 == alice.stats()["presence_questions"]
        assert (await alice.presence("alice")).online


@live
async def test_closing_ends_every_wait_and_takes_no_more():
    async def never(asked):
        await asyncio.Event().wait()

    async with serve(may_see=never) as server, login(server, "alice") as alice:
        asking = asyncio.ensure_future(alice.presence("alice"))
        await until(lambda: server.stats()["presence_questions"] == 1)
        await alice.close()
        with pytest.raises(udpim.ConnectionClosed):
            await asking
        with pytest.raises(udpim.ConnectionClosed):
            await alice.presence("alice")


@live
async def test_a_question_outlives_its_server(tmp_path):
    asked = []

    def may_see(question):
        asked.append(question)
        return True

    path = tmp_path / "server.db"
    server = await serve(store=path, may_see=may_see)
    port = server.address[1]
    async with login(server, "alice") as alice:
        await server.close()
        asking = asyncio.ensure_future(alice.presence("alice"))
        await turns(5)
        async with serve(port=port, store=path, may_see=may_see):
            assert (await asking).online
    assert asked
