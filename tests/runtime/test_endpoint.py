"""The portable endpoint on loopback, and the choice of the endpoint."""

import asyncio
import errno
import socket

import pytest

from tests.runtime.helpers import live, until
from tests.runtime.sink import Sink
from udpim.errors import ConfigError, ConnectError
from udpim.runtime import endpoint as module
from udpim.runtime import endpoint_base
from udpim.runtime.endpoint import format_address, resolve


@live
async def test_a_long_datagram_is_cut_so_that_it_fails_its_checksum():
    sink = Sink()
    endpoint = await sink.open("portable")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(2):  # the first is read by the event loop, the second by the burst
            sock.sendto(bytes(5000), endpoint.address)
        await until(lambda: len(sink.datagrams) == 2)
    assert [module.READ_BYTES_MAX] * 2 == [len(data) for data, _ in sink.datagrams]
    await endpoint.close()


class BrokenSocket:
    """Reads nothing but an error."""

    def __init__(self, sock):
        self._sock = sock

    def getsockname(self):
        return self._sock.getsockname()

    def recvfrom(self, size):
        raise OSError(errno.ECONNREFUSED, "refused")


@live
async def test_an_error_in_the_middle_of_a_burst_loses_nothing_before_it():
    sink = Sink()
    endpoint = await sink.open("portable")
    endpoint._socket = BrokenSocket(endpoint._socket)
    endpoint.datagram_received(b"before", ("127.0.0.1", 9))
    assert [(b"before", ("127.0.0.1", 9))] == sink.datagrams
    assert {"ECONNREFUSED": 1} == endpoint.errors
    await endpoint.close()


class FullTransport(asyncio.DatagramTransport):
    """A kernel without room: the first datagram fills it."""

    def __init__(self, endpoint):
        super().__init__()
        self.endpoint, self.sent = endpoint, []

    def is_closing(self):
        return False

    def sendto(self, data, addr=None):
        self.sent.append(data)
        self.endpoint.pause_writing()


@live
async def test_what_the_kernel_has_no_room_for_waits_up_to_the_limit(monkeypatch):
    monkeypatch.setattr(endpoint_base, "SEND_QUEUE_DATAGRAMS_MAX", 3)
    endpoint = await Sink().open("portable")
    real, endpoint._transport = endpoint._transport, FullTransport(endpoint)
    full = endpoint._transport
    endpoint.send([(b"%d" % i, endpoint.address) for i in range(6)])
    assert [b"0"] == full.sent
    assert 3 == endpoint.stats()["datagrams_waiting"]
    assert {"send queue full": 2} == endpoint.drops
    for _ in range(4):
        endpoint.resume_writing()
    assert [b"0", b"1", b"2", b"3"] == full.sent
    endpoint._transport = real
    await endpoint.close()


@live
async def test_a_socket_that_the_loop_gives_up_is_reported():
    sink = Sink()
    endpoint = await sink.open("portable")
    error = ZeroDivisionError()
    endpoint._transport._fatal_error(error, "for the test")
    await until(lambda: sink.lost)
    assert [error] == sink.lost


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EACCES, ConfigError, "not allowed to listen on 127.0.0.1:0"),
        (errno.EADDRNOTAVAIL, ConnectError, "no such address"),
        (errno.EMFILE, ConnectError, "cannot open 127.0.0.1:0"),
    ],
)
@live
async def test_a_port_that_cannot_be_had_is_explained(number, kind, words, monkeypatch):
    def refuse(family, address):
        raise OSError(number, "words of the system")

    monkeypatch.setattr(module, "_bound_socket", refuse)
    with pytest.raises(kind, match=words):
        await Sink().open("portable")


@live
async def test_a_cancelled_opening_closes_its_socket(monkeypatch):
    socks = []
    real = module._bound_socket

    def remember(family, address):
        socks.append(real(family, address))
        return socks[-1]

    monkeypatch.setattr(module, "_bound_socket", remember)
    opening = asyncio.create_task(Sink().open("portable"))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert [-1] == [sock.fileno() for sock in socks]


@live
async def test_a_host_resolves_to_an_address():
    assert (socket.AF_INET, ("127.0.0.1", 5)) == await resolve("127.0.0.1", 5)
    assert (socket.AF_INET6, ("::1", 5)) == await resolve("::1", 5)
    for unknown in ("no-such-host.invalid", "a" * 100):
        with pytest.raises(ConnectError, match=f"unknown host {unknown}"):
            await resolve(unknown, 5)


@live
async def test_ipv4_comes_first(monkeypatch):
    async def both(host, port, *, type):
        six = (socket.AF_INET6, type, 17, "", ("::1", port, 0, 0))
        four = (socket.AF_INET, type, 17, "", ("127.0.0.1", port))
        return [six, four]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    assert (socket.AF_INET, ("127.0.0.1", 5)) == await resolve("both", 5)


def test_addresses_are_written_with_brackets_where_needed():
    assert "127.0.0.1:5" == format_address(("127.0.0.1", 5))
    assert "[::1]:5" == format_address(("::1", 5))


@live
async def test_a_burst_ends_in_time_for_the_rest_of_the_loop():
    here, there = Sink(), Sink()
    a, b = await here.open("portable"), await there.open("portable")
    a.send([(b"%d" % i, b.address) for i in range(100)])
    await until(lambda: len(there.datagrams) == 100)
    assert [endpoint_base.BURST_DATAGRAMS_MAX, 36] == [len(burst) for burst in there.bursts]
    assert 2 == b.stats()["bursts_received"]
    await a.close()
    await b.close()


@pytest.mark.parametrize("kind", ["linux", "portable"])
@live
async def test_the_environment_forces_a_kind(kind, monkeypatch):
    monkeypatch.setenv(module.ENDPOINT_VARIABLE, kind)
    endpoint = await Sink().open()
    assert kind == endpoint.kind
    await endpoint.close()


@pytest.mark.parametrize(("platform", "kind"), [("linux", "linux"), ("darwin", "portable")])
@live
async def test_the_best_kind_is_taken_by_itself(platform, kind, monkeypatch):
    monkeypatch.delenv(module.ENDPOINT_VARIABLE, raising=False)
    monkeypatch.setattr(module.sys, "platform", platform)
    endpoint = await Sink().open()
    assert kind == endpoint.kind
    await endpoint.close()


@live
async def test_an_unknown_kind_is_refused(monkeypatch):
    monkeypatch.setenv(module.ENDPOINT_VARIABLE, "fast")
    with pytest.raises(ConfigError, match="'fast' is no endpoint"):
        await Sink().open()


@live
async def test_a_loop_without_readers_gets_the_portable_kind(monkeypatch):
    loop = asyncio.get_running_loop()
    real = loop.add_reader

    def refuse(file, callback, *args):
        if getattr(callback, "__name__", "") == "_on_readable":
            raise NotImplementedError
        real(file, callback, *args)

    monkeypatch.setattr(loop, "add_reader", refuse)
    endpoint = await Sink().open("linux")
    assert "portable" == endpoint.kind
    await endpoint.close()
