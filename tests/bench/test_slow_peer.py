"""The programs of the campaign: order is insisted on, what is open counts, pushing has an end."""

import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from tests.bench.test_loopback_peer import Delivered, Reader, Sender
from udpim_bench import slow_peer as peer
from udpim_bench.measure import WrongCounts


@pytest.mark.parametrize("numbers", [[0, 2], [0, 0], [1]])
def test_a_gap_or_a_double_ends_the_run(numbers):
    with pytest.raises(WrongCounts, match="was handed out where"):
        asyncio.run(peer.Reading(Reader(numbers)).run())


def test_a_stopped_program_stays_in_the_body_of_its_loop():
    async def run():
        reading = peer.Reading(Reader([0, 1, 2]))
        reading.going.clear()
        task = asyncio.create_task(reading.run())
        for _ in range(10):
            await asyncio.sleep(0)
        assert (0, False) == (reading.handled, task.done())
        reading.going.set()
        await task
        assert 3 == reading.handled

    asyncio.run(run())


class Silent(Sender):
    """A client whose messages never get a receipt."""

    async def send(self, to, payload):
        self.calls.append(payload)
        await asyncio.Event().wait()


class Prompt(Sender):
    async def send(self, to, payload):
        self.calls.append(payload)
        return Delivered()


async def talked(client):
    talk = peer.Conversation(client, "bob", 1e6)
    task = asyncio.create_task(talk.run())
    while len(client.calls) < 5:  # noqa: ASYNC110  # the conversation makes it true
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return talk


def test_what_is_open_has_its_age_as_latency():
    async def run():
        talk = await talked(Silent())
        assert talk.open == talk.sent >= 5
        latencies = talk.take_latencies()
        assert talk.sent == len(latencies) == len(talk.take_latencies())
        assert all(one > 0 for one in latencies)
        for task in talk._tasks:
            task.cancel()

    asyncio.run(run())


def test_every_receipt_has_one_latency():
    async def run():
        talk = await talked(Prompt())
        await asyncio.gather(*talk._tasks)
        assert 0 == talk.open
        assert talk.sent == len(talk.take_latencies())
        assert [] == talk.take_latencies()

    asyncio.run(run())


@pytest.mark.parametrize(("size", "batch"), [(128, 32), (65_536, 1)])
def test_pushing_numbers_its_messages_and_ends_by_itself(monkeypatch, size, batch):
    monkeypatch.setattr(peer, "PUSH_BYTES_MAX", 4 * batch * size)

    async def run():
        sender = Sender()
        pusher = peer.Pusher(sender, size)
        await pusher.few(batch)
        pusher.start()
        await pusher._task
        await pusher.stop()
        sent = [payload for _, payloads in sender.calls for payload in payloads]
        assert {size} == {len(payload) for payload in sent}
        assert list(range(4 * batch)) == [int.from_bytes(p[: peer.NUMBER_BYTES]) for p in sent]
        assert {"DELIVERED": 4 * batch} == pusher.states()

    asyncio.run(run())


def test_what_stays_open_ends_the_run(monkeypatch):
    monkeypatch.setattr(peer, "SETTLE_S", 0.0)
    sender = SimpleNamespace(stats=lambda: {"outbox": {"open_messages": 2}})
    with pytest.raises(WrongCounts, match="2 messages stay open"):
        asyncio.run(peer.Talkers(None, {}, []).settle(sender))


def test_a_conversation_that_lost_something_does_not_settle():
    lost = SimpleNamespace(sent=5, open=0), SimpleNamespace(handled=4)
    talkers = peer.Talkers(None, {}, [lost])
    sender = SimpleNamespace(stats=lambda: {"outbox": {"open_messages": 0}})
    with pytest.raises(WrongCounts, match="5 were sent, 4 handled"):
        asyncio.run(talkers.settle(sender))
