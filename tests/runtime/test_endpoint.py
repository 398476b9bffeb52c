"""The UDP endpoint on loopback."""

import asyncio
import errno
import socket

import pytest

from tests.runtime.helpers import HOSTS, live, until
from udpim.errors import ConfigError, ConnectError
from udpim.runtime import endpoint as module
from udpim.runtime.endpoint import format_address, open_endpoint, resolve

FAMILIES = dict(zip(HOSTS, (socket.AF_INET, socket.AF_INET6), strict=True))


class Sink:
    def __init__(self):
        self.bursts, self.lost = [], []

    @property
    def datagrams(self):
        return [datagram for burst in self.bursts for datagram in burst]

    async def open(self, host="127.0.0.1", port=0):
        return await open_endpoint(
            FAMILIES[host],
            (host, port),
            on_burst=self.bursts.append,
            on_lost=self.lost.append,
        )


@pytest.mark.parametrize("host", HOSTS)
@live
async def test_datagrams_arrive_in_bursts_with_host_and_port(host):
    here, there = Sink(), Sink()
    a, b = await here.open(host), await there.open(host)
    data = [b"%d" % i for i in range(100)]
    a.send([(d, b.address) for d in data])
    await until(lambda: len(there.datagrams) == 100)
    assert [(d, a.address) for d in data] == there.datagrams
    assert len(there.bursts) == 2
    assert module.BURST_DATAGRAMS_MAX == len(there.bursts[0])
    assert 100 == a.stats()["datagrams_sent"] == b.stats()["datagrams_received"]
    assert 2 == b.stats()["bursts_received"]
    await a.close()
    await b.close()
    assert [] == here.lost == there.lost


@live
async def test_a_long_datagram_is_cut_so_that_it_fails_its_checksum():
    sink = Sink()
    endpoint = await sink.open()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(2):  # the first is read by the event loop, the second by the burst
            sock.sendto(bytes(5000), endpoint.address)
        await until(lambda: len(sink.datagrams) == 2)
    assert [module.READ_BYTES_MAX] * 2 == [len(data) for data, _ in sink.datagrams]
    await endpoint.close()


@live
async def test_a_failed_attempt_is_counted_and_not_the_end():
    sink = Sink()
    endpoint = await sink.open()
    endpoint.send([(b"not allowed", ("255.255.255.255", 9)), (b"hello", endpoint.address)])
    await until(lambda: sink.datagrams)
    assert [b"hello"] == [data for data, _ in sink.datagrams]
    assert {"EACCES": 1} == endpoint.errors
    assert 1 == endpoint.stats()["error EACCES"]
    endpoint.error_received(OSError(errno.ECONNREFUSED, "refused"))
    endpoint.error_received(TimeoutError())
    assert {"EACCES": 1, "ECONNREFUSED": 1, "TimeoutError": 1} == endpoint.errors
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
    endpoint = await sink.open()
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
    monkeypatch.setattr(module, "SEND_QUEUE_DATAGRAMS_MAX", 3)
    endpoint = await Sink().open()
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
async def test_after_the_end_nothing_leaves():
    endpoint = await Sink().open()
    await endpoint.close()
    endpoint.send([(b"late", endpoint.address)])
    assert {"endpoint closed": 1} == endpoint.drops
    await endpoint.close()


@live
async def test_a_socket_that_the_loop_gives_up_is_reported():
    sink = Sink()
    endpoint = await sink.open()
    error = ZeroDivisionError()
    endpoint._transport._fatal_error(error, "for the test")
    await until(lambda: sink.lost)
    assert [error] == sink.lost


@live
async def test_a_port_in_use_keeps_its_errno():
    first = await Sink().open()
    with pytest.raises(ConfigError, match="port in use") as caught:
        await Sink().open(port=first.address[1])
    assert errno.EADDRINUSE == caught.value.__cause__.errno
    await first.close()


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
        await Sink().open()


@live
async def test_a_cancelled_opening_closes_its_socket(monkeypatch):
    socks = []
    real = module._bound_socket

    def remember(family, address):
        socks.append(real(family, address))
        return socks[-1]

    monkeypatch.setattr(module, "_bound_socket", remember)
    opening = asyncio.create_task(Sink().open())
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
