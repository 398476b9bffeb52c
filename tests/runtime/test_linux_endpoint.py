"""The Linux endpoint: runs in one call, and what it does when the kernel cannot or will not."""

import errno
import socket
import sys

import pytest

from tests.runtime.helpers import HOSTS, live, until
from tests.runtime.sink import Sink
from udpim.runtime import endpoint_base
from udpim.runtime import linux_endpoint as module

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="options of Linux")

HERE, THERE = ("127.0.0.1", 1), ("127.0.0.1", 2)


class Kernel:
    """A socket of which single calls can be replaced."""

    def __init__(self, endpoint, **calls):
        self._real = endpoint._socket
        self.__dict__.update(calls)
        endpoint._socket = self

    def __getattr__(self, name):
        return getattr(self._real, name)


def raising(number):
    def call(*args):
        raise OSError(number, "refused")

    return call


async def pair(host="127.0.0.1"):
    sinks = Sink(), Sink()
    return *[await sink.open("linux", host) for sink in sinks], sinks[1]


@pytest.mark.parametrize("host", HOSTS)
@live
async def test_a_run_leaves_and_arrives_in_one_call(host):
    a, b, sink = await pair(host)
    assert a.segments
    assert b.joins
    data = [bytes([i]) * 1200 for i in range(20)] + [b"short"]
    a.send([(d, b.address) for d in data])
    await until(lambda: len(sink.datagrams) == 21)
    assert [(d, a.address) for d in data] == sink.datagrams
    assert 1 == a.stats()["runs_sent"] == b.stats()["runs_received"]
    await a.close()
    await b.close()


@pytest.mark.parametrize(
    ("datagrams", "end"),
    [
        ([(10, HERE)], 1),
        ([(10, HERE)] * 3, 3),
        ([(10, HERE), (9, HERE), (9, HERE)], 2),
        ([(10, HERE), (11, HERE)], 1),
        ([(10, HERE), (10, THERE)], 1),
        ([(10, HERE), (0, HERE)], 1),
        ([(10, HERE)] * 65, module.RUN_DATAGRAMS_MAX),
        ([(1200, HERE)] * 60, 54),
    ],
)
def test_a_run_has_one_address_one_size_and_limits(datagrams, end):
    assert end == module._end_of_run([(bytes(size), to) for size, to in datagrams], 0)


@live
async def test_a_device_that_cannot_segment_gets_single_datagrams():
    a, b, sink = await pair()
    Kernel(a, sendmsg=raising(errno.EIO))
    data = [bytes([i]) * 100 for i in range(5)]
    a.send([(d, b.address) for d in data])
    await until(lambda: len(sink.datagrams) == 5)
    assert data == [d for d, _ in sink.datagrams]
    assert not a.segments
    assert {"EIO": 1} == a.errors
    assert {} == a.drops
    assert 0 == a.stats()["runs_sent"]
    await a.close()
    await b.close()


@pytest.mark.parametrize(
    "number", [errno.ENOBUFS, errno.EPERM, errno.ENETUNREACH, errno.ECONNREFUSED]
)
@live
async def test_a_refused_run_is_an_attempt_and_not_the_end(number):
    a, b, sink = await pair()
    Kernel(a, sendmsg=raising(number))
    a.send([(b"same", b.address)] * 3 + [(b"longer", b.address)])
    await until(lambda: sink.datagrams)
    assert [b"longer"] == [d for d, _ in sink.datagrams]
    assert {errno.errorcode[number]: 1} == a.errors
    assert {"refused by the kernel": 3} == a.drops
    assert a.segments
    await a.close()
    await b.close()


@live
async def test_what_the_kernel_has_no_room_for_waits_and_leaves_in_order(monkeypatch):
    monkeypatch.setattr(endpoint_base, "SEND_QUEUE_DATAGRAMS_MAX", 4)
    monkeypatch.setattr(module, "FLUSH_DATAGRAMS_MAX", 3)
    a, b, sink = await pair()
    real = a._socket
    full = raising(errno.EAGAIN)
    kernel = Kernel(a, sendto=full, sendmsg=full)
    data = [b"%d" % i * (i + 1) for i in range(6)]
    a.send([(d, b.address) for d in data[:3]])
    a.send([(d, b.address) for d in data[3:]])
    assert 4 == a.stats()["datagrams_waiting"]
    assert {"send queue full": 2} == a.drops
    kernel.sendto = real.sendto
    await until(lambda: len(sink.datagrams) == 4)
    assert data[:4] == [d for d, _ in sink.datagrams]
    assert 0 == a.stats()["datagrams_waiting"]
    a.send([(b"at once", b.address)])
    assert 5 == a.stats()["datagrams_sent"]
    await a.close()
    await b.close()


@live
async def test_closing_tries_what_waits_once_more_and_counts_the_rest():
    a, b, sink = await pair()
    real = a._socket
    kernel = Kernel(a, sendto=raising(errno.EAGAIN))
    a.send([(b"1", b.address), (b"22", b.address)])

    def once(data, address):
        kernel.sendto = raising(errno.EAGAIN)
        return real.sendto(data, address)

    kernel.sendto = once
    await a.close()
    await until(lambda: sink.datagrams)
    assert [b"1"] == [d for d, _ in sink.datagrams]
    assert {"endpoint closed": 1} == a.drops
    await b.close()


@live
async def test_a_burst_ends_in_time_for_the_rest_of_the_loop():
    a, b, sink = await pair()
    a.segments = False
    b._set(socket.IPPROTO_UDP, module.UDP_GRO, 0)
    a.send([(b"%d" % i, b.address) for i in range(100)])
    await until(lambda: len(sink.datagrams) == 100)
    assert [endpoint_base.BURST_DATAGRAMS_MAX, 36] == [len(burst) for burst in sink.bursts]
    await a.close()
    await b.close()


@live
async def test_what_the_kernel_threw_away_is_counted():
    a, b, sink = await pair()
    a.segments = False
    b._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    a.send([(bytes(1200), b.address)] * 50)
    await until(lambda: sink.datagrams)
    arrived = len(sink.datagrams)
    a.send([(b"later", b.address)])
    await until(lambda: len(sink.datagrams) > arrived)
    assert {"receive buffer full": 50 - arrived} == b.drops
    await a.close()
    await b.close()


@live
async def test_errors_and_truncated_datagrams_cost_only_themselves():
    a, b, sink = await pair()
    answers = [
        (b"whole", [], 0, a.address),
        OSError(errno.ECONNREFUSED, "refused"),
        (b"cut", [], socket.MSG_TRUNC, a.address),
        (b"joined, size unknown", [], socket.MSG_CTRUNC, a.address),
        (b"marked", [(socket.IPPROTO_IP, socket.IP_TOS, b"\1")], 0, a.address),
        BlockingIOError(),
    ]

    def receive(*sizes):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    Kernel(b, recvmsg=receive)
    b._on_readable()
    assert [[(b"whole", a.address), (b"marked", a.address)]] == sink.bursts
    assert {"ECONNREFUSED": 1} == b.errors
    assert {"truncated in the kernel": 2} == b.drops
    answers.append(BlockingIOError())
    b._on_readable()
    assert 1 == len(sink.bursts)
    await a.close()
    await b.close()


class OldSocket(socket.socket):
    """A kernel that knows none of the options."""

    def setsockopt(self, level, option, value):
        raise OSError(errno.ENOPROTOOPT, "unknown")


@live
async def test_without_the_options_datagrams_go_one_by_one():
    sink = Sink()
    sock = OldSocket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    endpoint = module.LinuxEndpoint(sock, sink.bursts.append, sink.lost.append)
    assert not endpoint.segments
    assert not endpoint.joins
    assert {"ENOPROTOOPT": 3} == endpoint.errors
    endpoint.send([(b"same", endpoint.address)] * 3)
    await until(lambda: len(sink.datagrams) == 3)
    assert 0 == endpoint.stats()["runs_sent"] == endpoint.stats()["runs_received"]
    await endpoint.close()


@pytest.mark.parametrize(
    ("release", "joins"), [("5.10.0-28-amd64", False), ("5.12+", True), ("6.1.0", True)]
)
@live
async def test_joining_waits_for_a_kernel_that_does_it_right(release, joins, monkeypatch):
    monkeypatch.setattr(module.platform, "release", lambda: release)
    endpoint = await Sink().open("linux")
    assert joins == endpoint.joins
    await endpoint.close()
