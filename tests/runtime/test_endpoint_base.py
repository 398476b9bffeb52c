"""What every kind of endpoint does: one suite for all of them."""

import errno
import random
import sys

import pytest

from tests.runtime.helpers import HOSTS, live, until
from tests.runtime.sink import Sink
from udpim.errors import ConfigError

KINDS = ["portable", *(["linux"] if sys.platform == "linux" else [])]
pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.parametrize("host", HOSTS)
@live
async def test_datagrams_arrive_in_order_with_host_and_port(host, kind):
    here, there = Sink(), Sink()
    a, b = await here.open(kind, host), await there.open(kind, host)
    data = [b"%d" % i for i in range(100)]
    a.send([(d, b.address) for d in data])
    await until(lambda: len(there.datagrams) == 100)
    assert [(d, a.address) for d in data] == there.datagrams
    assert 100 == a.stats()["datagrams_sent"] == b.stats()["datagrams_received"]
    assert 1 <= b.stats()["bursts_received"] == len(there.bursts)
    await a.close()
    await b.close()
    assert [] == here.lost == there.lost
    assert {} == a.drops == b.drops == a.errors == b.errors


@pytest.mark.parametrize("host", HOSTS)
@live
async def test_any_mixture_of_sizes_and_addresses_keeps_its_order(host, kind, seed):
    chance = random.Random(seed)
    here, sinks = Sink(), [Sink(), Sink()]
    a, ends = await here.open(kind, host), [await sink.open(kind, host) for sink in sinks]
    sent = [[], []]
    for number in range(50):
        burst = []
        for _ in range(chance.randrange(1, 12)):
            to = chance.choice([0, 0, 0, 1])
            data = number.to_bytes(2, "big") * chance.choice([16, 600, 600, 600])
            burst.append((data, ends[to].address))
            sent[to].append(data)
        a.send(burst)
        total = [len(sent[0]), len(sent[1])]
        await until(lambda total=total: total == [len(sink.datagrams) for sink in sinks])
    for expected, sink in zip(sent, sinks, strict=True):
        assert [(data, a.address) for data in expected] == sink.datagrams
    for endpoint in (a, *ends):
        await endpoint.close()


@live
async def test_a_failed_attempt_is_counted_and_not_the_end(kind):
    sink = Sink()
    endpoint = await sink.open(kind)
    endpoint.send([(b"not allowed", ("255.255.255.255", 9)), (b"hello", endpoint.address)])
    await until(lambda: sink.datagrams)
    assert [b"hello"] == [data for data, _ in sink.datagrams]
    assert {"EACCES": 1} == endpoint.errors
    assert 1 == endpoint.stats()["error EACCES"]
    endpoint.error_received(OSError(errno.ECONNREFUSED, "refused"))
    endpoint.error_received(TimeoutError())
    assert {"EACCES": 1, "ECONNREFUSED": 1, "TimeoutError": 1} == endpoint.errors
    await endpoint.close()


@live
async def test_after_the_end_nothing_leaves(kind):
    endpoint = await Sink().open(kind)
    await endpoint.close()
    endpoint.send([(b"late", endpoint.address)])
    assert {"endpoint closed": 1} == endpoint.drops
    await endpoint.close()


@live
async def test_closing_twice_frees_the_port_once(kind):
    first = await Sink().open(kind)
    await first.close()
    await first.close()
    second = await Sink().open(kind, port=first.address[1])
    assert first.address == second.address
    await second.close()


@live
async def test_a_port_in_use_keeps_its_errno(kind):
    first = await Sink().open(kind)
    with pytest.raises(ConfigError, match="port in use") as caught:
        await Sink().open(kind, port=first.address[1])
    assert errno.EADDRINUSE == caught.value.__cause__.errno
    await first.close()
