"""Signals for the application: the queue, the iteration, and the client's two methods."""

import asyncio

import pytest

import udpim
from tests.runtime.helpers import live, login, serve, turns, until
from udpim.hop.datagrams import WAIT_S_MAX
from udpim.signals import SignalQueue, check_signal
from udpim.wire.im_packets import SignalN


def signals(*payloads):
    return [SignalN("alice", "phone", "bob", payload) for payload in payloads]


class Clock:
    """The loop's time, with an offset that the test sets."""

    def __init__(self, loop):
        self._loop = loop
        self.ahead_s = 0.0

    def time(self):
        return self._loop.time() + self.ahead_s

    def create_future(self):
        return self._loop.create_future()


@pytest.mark.parametrize("name", ["", "x" * 33, "a\0b", "\ud800"])
def test_a_name_that_does_not_travel_is_refused(name):
    with pytest.raises(udpim.ConfigError):
        check_signal(name, b"")


@pytest.mark.parametrize("payload", ["text", None, bytearray(b"x")])
def test_a_payload_is_bytes(payload):
    with pytest.raises(udpim.ConfigError):
        check_signal("bob", payload)


def test_a_payload_has_a_limit():
    check_signal("bob", bytes(1024))
    with pytest.raises(udpim.PayloadTooLarge) as caught:
        check_signal("bob", bytes(1025))
    assert (1025, 1024) == (caught.value.size_bytes, caught.value.limit_bytes)


@live
async def test_signals_come_in_order_and_show_who_and_what():
    queue = SignalQueue(9)
    queue.add(signals(b"a", b"b"))
    reader = queue.read()
    assert udpim.Signal("alice", "phone", "bob", b"a") == await anext(reader)
    assert b"b" == (await anext(reader)).payload
    assert (2, 0) == (queue.received_count, len(queue))


@live
async def test_a_reader_waits_for_the_next_one():
    queue = SignalQueue(9)
    waiting = asyncio.ensure_future(anext(queue.read()))
    await turns(3)
    assert not waiting.done()
    queue.add(signals(b"a"))
    assert b"a" == (await waiting).payload


@live
async def test_the_oldest_makes_room_for_the_newest():
    queue = SignalQueue(2)
    queue.add(signals(b"a", b"b", b"c"))
    reader = queue.read()
    assert [b"b", b"c"] == [(await anext(reader)).payload for _ in range(2)]
    assert {"signal for which there was no room": 1} == queue.drops


@live
async def test_what_nobody_took_in_time_is_dropped(monkeypatch):
    clock = Clock(asyncio.get_running_loop())
    monkeypatch.setattr("udpim.signals.asyncio.get_running_loop", lambda: clock)
    queue = SignalQueue(9)
    queue.add(signals(b"old"))
    clock.ahead_s = WAIT_S_MAX + 1
    queue.add(signals(b"new"))
    assert b"new" == (await anext(queue.read())).payload
    assert {"signal that nobody took in time": 1} == queue.drops


@live
async def test_a_new_iteration_ends_the_one_before_and_two_tasks_cannot_wait_on_one():
    queue = SignalQueue(9)
    first = queue.read()
    waiting = asyncio.ensure_future(anext(first))
    await turns(2)
    with pytest.raises(udpim.LocalProtocolError, match="another task"):
        await anext(first)
    second = queue.read()
    with pytest.raises(udpim.LocalProtocolError, match="another iteration"):
        await waiting
    with pytest.raises(udpim.LocalProtocolError, match="another iteration"):
        await anext(first)
    queue.add(signals(b"a"))
    assert b"a" == (await anext(second)).payload


@live
async def test_a_cancelled_wait_loses_nothing():
    queue = SignalQueue(9)
    reader = queue.read()
    waiting = asyncio.ensure_future(anext(reader))
    await turns(2)
    waiting.cancel()
    queue.add(signals(b"a"))
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert b"a" == (await anext(reader)).payload


@pytest.mark.parametrize("error", [None, udpim.ConnectionClosed(5, "the store failed")])
@live
async def test_the_end_ends_the_iteration_and_is_told_once(error):
    queue = SignalQueue(9)
    waiting = asyncio.ensure_future(anext(queue.read()))
    await turns(2)
    queue.end(error)
    queue.end(udpim.ConnectionClosed(0, "later"))
    with pytest.raises(StopAsyncIteration if error is None else type(error)) as caught:
        await waiting
    assert error is None or caught.value is error


@live
async def test_a_signal_goes_from_program_to_program():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        heard = []

        async def listen():
            async for signal in bob.signals():
                heard.append(signal)

        task = asyncio.ensure_future(listen())
        assert alice.signal("bob", b"typing")
        await until(lambda: heard)
        assert [udpim.Signal("alice", "main", "bob", b"typing")] == heard
        with pytest.raises(udpim.PayloadTooLarge):
            alice.signal("bob", bytes(1025))
        await bob.close()
        await task
        assert bob.signal("alice", b"too late") is False
        assert 1 == bob.stats()["signals"]["received_signals"]
        taken = sum(alice.signal("nobody", b"") for _ in range(200))
        assert 30 < taken < 100, "the rate says no"
