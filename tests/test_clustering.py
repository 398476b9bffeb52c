"""A process's part in a cluster, over real sockets: which role, and what it refuses in it."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest

import udpim
from tests.runtime.helpers import live, login, serve, take, until
from udpim.cluster.sqlite_directory import SQLiteDirectory
from udpim.serving import Serving
from udpim.store.sqlite import SQLiteStore

LEASE_S = 0.6


@asynccontextmanager
async def member(tmp_path, **options):
    cluster = udpim.Cluster(folder=str(tmp_path / "meet"), lease_s=LEASE_S, **options)
    async with serve(store=tmp_path / "shared.db", cluster=cluster) as listening:
        yield listening


def role(listening):
    return listening.stats()["cluster"]["role"]


@live
async def test_the_first_is_the_home_and_the_next_one_a_gate(tmp_path):
    async with member(tmp_path) as one:
        await until(lambda: role(one) == "home")
        async with member(tmp_path) as other:
            await until(lambda: other.stats()["cluster"]["home"])
            assert "gate" == role(other)
            async with login(other, "bob") as bob, login(one, "alice") as alice:
                receipt = await alice.send("bob", b"hi")
                assert [b"hi"] == [message.payload for message in await take(bob, 1)]
                await receipt
                with pytest.raises(udpim.NotHome):
                    await other.revoke("bob")
                assert 1 == await one.revoke("bob")
                with pytest.raises(udpim.LoginError, match="access was revoked"):
                    await take(bob, 1)
            assert one.stats()["cluster"]["node"] == other.stats()["cluster"]["home"]
            assert 0 < other.stats()["endpoint"]["bus_frames_sent"]


@live
async def test_a_home_that_leaves_is_replaced_and_its_clients_find_the_next_one(tmp_path):
    roles = []
    async with member(tmp_path, on_role=lambda *told: roles.append(told)) as gate:
        await until(lambda: role(gate) == "home")
    assert [("home", 1)] == roles
    async with member(tmp_path) as one:
        await until(lambda: role(one) == "home")
        async with member(tmp_path) as other:
            async with login(other, "alice") as alice, login(other, "bob") as bob:
                receipts = [await alice.send("bob", b"before")]
                messages = await take(bob, 1)
                await one.close()
                await until(lambda: role(other) == "home")
                receipts.append(await alice.send("bob", b"after"))
                messages += await take(bob, 1)
                for receipt in receipts:
                    await receipt
            assert [b"before", b"after"] == [message.payload for message in messages]
            assert 3 == other.stats()["cluster"]["epoch"]


@live
async def test_groups_are_the_homes_business(tmp_path):
    async with member(tmp_path) as one:
        with pytest.raises(udpim.NotHome) as caught:
            one.members("#room")
        assert caught.value.home is None
        assert "no process of the cluster holds the store" in str(caught.value)
        await until(lambda: role(one) == "home")
        async with login(one, "alice"):
            pass
        await one.create_group("#room", "alice")
        assert ("alice",) == one.members("#room")
        async with member(tmp_path) as other:
            await until(lambda: other.stats()["cluster"]["home"])
            with pytest.raises(udpim.NotHome) as caught:
                await other.create_group("#room", "alice")
            assert one.stats()["cluster"]["node"] == caught.value.home
            assert caught.value.home in str(caught.value)


@live
async def test_a_store_that_somebody_has_for_himself_is_waited_for(tmp_path, caplog):
    store = SQLiteStore(str(tmp_path / "shared.db"), kind="server")
    async with member(tmp_path) as one:
        await until(lambda: "this process has it open already" in caplog.text)
        assert "gate" == role(one)
        store.close()
        await until(lambda: role(one) == "home")


@live
async def test_a_file_that_is_no_store_ends_it_with_the_reason(tmp_path):
    (tmp_path / "shared.db").write_bytes(b"no store " * 100)
    async with member(tmp_path) as one:
        with pytest.raises(udpim.StoreFormat):
            await one.serve_forever()
    with closing(SQLiteDirectory(str(tmp_path / "meet"))) as directory:
        assert "" == directory.look().node


@live
async def test_a_home_whose_store_fails_ends_with_the_reason(tmp_path, caplog):
    async with member(tmp_path) as one:
        await until(lambda: role(one) == "home")
        one._work.serving()._store._broken = udpim.StoreError("shared.db", "the disk fails")
        knocking = asyncio.create_task(login(one, "alice").__aenter__())
        with pytest.raises(udpim.StoreError, match="the disk fails"):
            await one.serve_forever()
        knocking.cancel()
        await asyncio.wait([knocking])


@live
async def test_a_fence_that_was_raised_behind_its_back_makes_a_home_a_gate(tmp_path):
    roles = []
    async with member(tmp_path, on_role=lambda *told: roles.append(told)) as one:
        await until(lambda: role(one) == "home")
        with closing(sqlite3.connect(tmp_path / "shared.db")) as other, other:
            other.execute("UPDATE meta SET value = ? WHERE key = 'fence'", (b"\0" * 7 + b"\x29",))
        async with login(one, "alice", connect_timeout=20.0):
            assert [("home", 1), ("gate", 1), ("home", 42)] == roles


@live
async def test_a_lease_that_somebody_took_makes_a_home_a_gate(tmp_path):
    async with member(tmp_path) as one:
        await until(lambda: role(one) == "home")
        with closing(SQLiteDirectory(str(tmp_path / "meet"))) as directory:
            while (taken := directory.claim("nobody", directory.look())) is None:
                pass
            await until(lambda: role(one) == "gate")
            assert taken.epoch == 2
        await until(lambda: role(one) == "home")
        assert 2 == one.stats()["cluster"]["terms"]


@live
async def test_a_store_that_takes_longer_to_load_than_a_lease_is_loaded_once(tmp_path, monkeypatch):
    start = Serving.start
    begun = []

    async def slowly(settings, name, fence):
        begun.append(fence)
        await asyncio.sleep(3 * LEASE_S)
        return await start(settings, name, fence)

    monkeypatch.setattr(Serving, "start", slowly)
    async with member(tmp_path) as one, member(tmp_path) as other:
        await until(lambda: "home" in (role(one), role(other)))
        await asyncio.sleep(2 * LEASE_S)
    assert [1] == begun


@live
async def test_a_directory_that_somebody_holds_is_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("udpim.cluster.sqlite_directory.LOCK_WAIT_S", 0.01)
    async with member(tmp_path) as one:
        await until(lambda: role(one) == "home")
        async with member(tmp_path) as other:
            path = tmp_path / "meet" / "directory.db"
            with closing(sqlite3.connect(path, isolation_level=None)) as third:
                third.execute("BEGIN EXCLUSIVE")
                await until(lambda: "directory.db: another process has it open" in caplog.text)
                third.execute("ROLLBACK")
            await until(lambda: other.stats()["cluster"]["home"])


@live
async def test_a_home_that_cannot_renew_takes_nothing_after_its_lease(tmp_path, caplog):
    async with member(tmp_path) as one:
        await until(lambda: role(one) == "home")
        path = tmp_path / "meet" / "directory.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            await until(lambda: role(one) == "gate")
            other.execute("ROLLBACK")
        await until(lambda: role(one) == "home")


@live
async def test_a_port_in_use_leaves_nothing_behind(tmp_path):
    async with serve() as first:
        cluster = udpim.Cluster(folder=str(tmp_path / "meet"))
        with pytest.raises(udpim.ConfigError, match="port in use"):
            await serve(port=first.address[1], store=tmp_path / "shared.db", cluster=cluster)
    assert ["directory.db"] == [path.name for path in (tmp_path / "meet").iterdir()]


@live
async def test_a_lost_port_ends_it(tmp_path):
    async with member(tmp_path) as one:
        await until(lambda: role(one) == "home")
        one._work.fail(OSError("gone"))
        with pytest.raises(udpim.ConnectionClosed, match="gone"):
            await one.serve_forever()


@live
async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    cluster = udpim.Cluster(folder=str(tmp_path / "no" / "folder"))
    with pytest.raises(udpim.ConfigError, match="no folder can be made"):
        await serve(store=tmp_path / "shared.db", cluster=cluster)


def test_a_lease_too_short_to_renew_is_refused():
    with pytest.raises(udpim.ConfigError, match=r"at least 0\.2"):
        udpim.Cluster(folder="meet", lease_s=0.1)


def test_a_cluster_needs_a_file():
    with pytest.raises(udpim.ConfigError, match="share a store: name its file"):
        serve(cluster=udpim.Cluster(folder="meet"))
