"""The programs of the loopback benchmark: the order is insisted on, windows are kept."""

import asyncio
from types import SimpleNamespace

import pytest

from udpim.model import MessageState
from udpim_bench import loopback_peer as peer
from udpim_bench.measure import WrongCounts


class Reader:
    """A client whose messages are given."""

    user = "reader"

    def __init__(self, numbers):
        self.numbers = numbers

    async def __aiter__(self):
        for number in self.numbers:
            yield SimpleNamespace(payload=number.to_bytes(peer.NUMBER_BYTES, "big") + b"filler")


class Delivered:
    state = MessageState.DELIVERED

    def __await__(self):
        yield from ()


class Sender:
    """A client whose messages arrive at once."""

    def __init__(self):
        self.calls = []

    async def send_many(self, to, payloads):
        self.calls.append((to, payloads))
        return [Delivered() for _ in payloads]


@pytest.mark.parametrize("numbers", [[0, 2], [0, 0], [1]])
def test_a_gap_or_a_double_ends_the_measurement(numbers):
    stream = peer.Stream(Sender(), Reader(numbers), 5, 128)
    with pytest.raises(WrongCounts, match="was handed out where"):
        asyncio.run(stream.read())


def test_messages_in_order_are_counted():
    stream = peer.Stream(Sender(), Reader([0, 1, 2]), 5, 128)
    asyncio.run(stream.read())
    assert 3 == stream.handled


def test_the_window_is_kept_and_every_receipt_seen():
    sender = Sender()
    stream = peer.Stream(sender, Reader([]), 4, 128)
    asyncio.run(stream.write(10))
    assert [4, 4, 2] == [len(payloads) for _, payloads in sender.calls]
    sent = [payload for _, payloads in sender.calls for payload in payloads]
    assert {128} == {len(payload) for payload in sent}
    assert list(range(10)) == [int.from_bytes(payload[: peer.NUMBER_BYTES]) for payload in sent]
    assert 10 == stream.sent == len(stream.latencies_s)


def test_a_reader_that_gives_up_ends_the_writers():
    async def give_up():
        raise WrongCounts("wrong order")

    async def wait():
        await asyncio.Event().wait()

    async def both():
        await peer._together([wait()], [asyncio.create_task(give_up())])

    with pytest.raises(WrongCounts, match="wrong order"):
        asyncio.run(both())
