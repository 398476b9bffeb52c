"""One life of a server node: what it leaves behind, and whom it tells."""

import asyncio

import pytest

import udpim
from tests.runtime.helpers import live, login, serve, until
from udpim.config import ServerConfig
from udpim.hooks import HookChoice
from udpim.runtime.settings import Secrets
from udpim.serving import ServerSettings, Serving
from udpim.store.sqlite import SQLiteStore


def settings(tmp_path):
    return ServerSettings(
        config=ServerConfig(),
        hooks=HookChoice(),
        store=str(tmp_path / "server.db"),
        hop=None,
        close_timeout_s=1.0,
        secrets=Secrets(security="plain"),
    )


@live
async def test_an_epoch_of_before_is_refused_and_no_lock_stays(tmp_path):
    await (await Serving.start(settings(tmp_path), "test", 2)).stop(goodbye=True)
    with pytest.raises(udpim.StoreFenced):
        await Serving.start(settings(tmp_path), "test", 2)
    await (await Serving.start(settings(tmp_path), "test", 3)).stop(goodbye=True)


@live
async def test_a_node_that_cannot_be_made_releases_the_store(tmp_path, monkeypatch):
    monkeypatch.setattr("udpim.serving.ServerNode", lambda *args, **options: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        await Serving.start(settings(tmp_path), "test")
    SQLiteStore(str(tmp_path / "server.db"), kind="server").close()


@live
async def test_one_that_stops_without_a_goodbye_tells_its_clients_nothing(tmp_path):
    async with serve(store=tmp_path / "server.db") as listening, login(listening, "alice") as alice:
        await listening._work.serving().stop(goodbye=False)
        await asyncio.sleep(0.2)
        assert udpim.LinkState.ONLINE is alice.state


@live
async def test_what_it_is_told_after_its_end_changes_nothing(tmp_path):
    serving = await Serving.start(settings(tmp_path), "test")
    await serving.stop(goodbye=True)
    serving.authenticated(1, None, busy=False)
    await serving.wait()
    with pytest.raises(udpim.ConnectionClosed, match="the server is closed"):
        await serving.change_group(udpim.GroupAction.CREATE, "#room", "alice")


@live
async def test_its_store_s_failure_is_raised_where_somebody_waits(tmp_path):
    async with serve(store=tmp_path / "server.db") as listening:
        serving = listening._work.serving()
        waiting = asyncio.create_task(serving.wait())
        await until(lambda: serving._driver._endpoint is not None)
        serving._store._broken = udpim.StoreFenced("server.db", "taken over", 9)
        knocking = asyncio.create_task(login(listening, "alice").__aenter__())
        with pytest.raises(udpim.StoreFenced):
            await waiting
        knocking.cancel()
        await asyncio.wait([knocking])
