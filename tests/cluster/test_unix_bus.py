"""Processes of one host reach each other, see who is dead, and never wait for who is slow."""

import asyncio
import socket
import stat

import pytest

from tests.runtime.helpers import live, until
from udpim.cluster import unix_bus
from udpim.cluster.unix_bus import PEERS_MAX, WAITING_FRAMES_MAX, UnixBus
from udpim.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return str(tmp_path)


def silent(frames):
    raise AssertionError(frames)


@live
async def test_frames_arrive_in_order(folder):
    taken = []
    one, other = UnixBus(folder, "one", silent), UnixBus(folder, "other", taken.extend)
    frames = [b"%d" % i * 1000 for i in range(100)]
    one.send("other", frames)
    await until(lambda: len(taken) == 100)
    assert frames == taken
    assert 100 == one.stats()["bus_frames_sent"] == other.stats()["bus_frames_received"]
    one.close()
    other.close()


@live
async def test_what_a_slow_process_has_no_room_for_waits_up_to_a_limit(folder):
    one = UnixBus(folder, "one", silent)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as slow:
        slow.bind(f"{folder}/slow.sock")
        count = 5000
        for _ in range(count):
            one.send("slow", [b"x" * 1000])
        dropped = one.stats()["bus: process too slow"]
        sent = one.stats()["bus_frames_sent"]
        assert count == sent + WAITING_FRAMES_MAX + dropped
        for _ in range(sent):
            slow.recv(2000)
        await until(lambda: one.stats()["bus_frames_sent"] > sent)
    one.close()


@live
async def test_a_process_that_dies_with_frames_waiting_costs_only_them(folder):
    one = UnixBus(folder, "one", silent)
    slow = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    slow.bind(f"{folder}/slow.sock")
    while "bus: process too slow" not in one.stats():
        one.send("slow", [b"x" * 1000])
    slow.close()
    await until(lambda: "bus: process not reached" in one.stats())
    assert WAITING_FRAMES_MAX == one.stats()["bus: process not reached"]
    one.close()


@live
async def test_who_is_not_there_is_dead_and_gets_nothing(folder):
    one, other = UnixBus(folder, "one", silent), UnixBus(folder, "other", silent)
    assert not one.is_dead("other")
    other.close()
    assert one.is_dead("other")
    assert one.is_dead("never born")
    one.send("other", [b"x", b"y"])
    assert 2 == one.stats()["bus: process not reached"]
    one.close()


@live
async def test_one_that_came_back_is_reached_again(folder):
    taken = []
    one, other = UnixBus(folder, "one", silent), UnixBus(folder, "other", silent)
    one.send("other", [])
    other.close()
    one.send("other", [b"lost"])
    again = UnixBus(folder, "other", taken.extend)
    one.send("other", [b"found"])
    await until(lambda: taken)
    assert [b"found"] == taken
    one.close()
    again.close()


@live
async def test_the_files_of_the_dead_are_swept(tmp_path, folder):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as killed:
        killed.bind(f"{folder}/killed.sock")
    one, other = UnixBus(folder, "one", silent), UnixBus(folder, "other", silent)
    one.sweep()
    assert {"one.sock", "other.sock"} == {path.name for path in tmp_path.iterdir()}
    assert 0o600 == stat.S_IMODE((tmp_path / "one.sock").stat().st_mode)
    one.close()
    other.close()
    assert [] == list(tmp_path.iterdir())


@live
async def test_it_keeps_few_processes_connected(folder):
    one = UnixBus(folder, "one", silent)
    others = [UnixBus(folder, f"other {i}", lambda frames: None) for i in range(PEERS_MAX + 5)]
    for i in range(len(others)):
        one.send(f"other {i}", [b"x"])
    assert PEERS_MAX == len(one._peers)
    for bus in (one, *others):
        bus.close()


@live
async def test_a_burst_is_taken_in_turns(folder, monkeypatch):
    monkeypatch.setattr(unix_bus, "FRAMES_A_TURN", 2)
    bursts = []
    one, other = UnixBus(folder, "one", silent), UnixBus(folder, "other", bursts.append)
    one.send("other", [b"x"] * 5)
    await until(lambda: sum(map(len, bursts)) == 5)
    assert 2 == max(map(len, bursts))
    one.close()
    other.close()


@live
async def test_a_folder_that_others_may_write_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="others may write into"):
        UnixBus(str(tmp_path), "one", silent)


@live
async def test_a_folder_with_a_long_name_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="too long a name for sockets"):
        UnixBus(str(tmp_path / ("x" * 100)), "one", silent)


@live
async def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        UnixBus(str(tmp_path / "x"), "one", silent)
    assert not asyncio.all_tasks() - {asyncio.current_task()}
