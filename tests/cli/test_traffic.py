"""The script is sent in order and in measure, and what arrives is noted where it belongs."""

import asyncio
from types import SimpleNamespace

import pytest

from udpim.cli import traffic as module
from udpim.cli.script import Line, Script
from udpim.cli.traffic import Traffic
from udpim.errors import DeliveryError

TURNS = 50
"""Of the event loop: enough for everything that can happen."""


class Sender:
    """The sending half of a client; receipts are futures for the test to settle."""

    def __init__(self, log):
        self.log = log
        self.receipts = []

    async def send_many(self, to, payloads):
        self.log += [(to, payload) for payload in payloads]
        await asyncio.sleep(0)
        made = [asyncio.get_running_loop().create_future() for _ in payloads]
        self.receipts += made
        return made


async def turns():
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def iterate(*messages):
    for sender, payload in messages:
        yield SimpleNamespace(sender=sender, payload=payload)


def script(count):
    """A chat of three in which everybody writes to everybody."""
    pairs = [("a", "b"), ("b", "a"), ("c", "a"), ("a", "c"), ("a", "b")]
    return Script(lines=[Line(*pairs[n % 5], b"%d" % n) for n in range(count)])


def settle(clients):
    for client in clients.values():
        for receipt in client.receipts:
            if not receipt.done():
                receipt.set_result(None)


@pytest.fixture
def clients():
    return {name: Sender([]) for name in "abc"}


def test_each_pair_gets_its_lines_in_the_order_of_the_script(clients):
    async def scenario():
        traffic = Traffic(script(200))
        traffic.may_end.set()
        sending = asyncio.create_task(traffic.send(clients))
        while not sending.done():
            await turns()
            settle(clients)
        await sending
        for (sender, recipient), pair in traffic.pairs.items():
            wanted = [p for s, r, p in script(200).lines if (s, r) == (sender, recipient)]
            said = pair.said
            assert wanted == said.sent
            assert wanted == [p for to, p in clients[sender].log if to == recipient]
            assert len(wanted) == len(said.receipts) == len(said.receipt_s) == said.expected
        assert 200 == traffic.receipts

    asyncio.run(scenario())


def test_only_so_many_lines_are_ahead_of_their_receipts(clients, monkeypatch):
    monkeypatch.setattr(module, "UNSETTLED_MIN", 64)

    async def scenario():
        traffic = Traffic(script(500))
        traffic.may_end.set()
        sending = asyncio.create_task(traffic.send(clients))
        sent = [0]
        while sent[-1] < 500:
            await turns()
            sent.append(sum(len(client.log) for client in clients.values()))
            assert 0 < sent[-1] - sent[-2] <= 64
            settle(clients)
        await sending

    asyncio.run(scenario())


def test_the_last_eighth_waits_until_the_end_may_come(clients):
    async def scenario():
        traffic = Traffic(script(80))
        sending = asyncio.create_task(traffic.send(clients))
        await turns()
        assert 70 == sum(len(pair.said.sent) for pair in traffic.pairs.values())
        traffic.may_end.set()
        await turns()
        assert 80 == sum(len(pair.said.sent) for pair in traffic.pairs.values())
        settle(clients)
        await sending

    asyncio.run(scenario())


def test_a_message_that_is_never_delivered_stops_nobody(clients):
    async def scenario():
        traffic = Traffic(script(8))
        traffic.may_end.set()
        sending = asyncio.create_task(traffic.send(clients))
        await turns()
        unlucky = clients["c"].receipts[0]
        unlucky.set_exception(DeliveryError(unlucky))
        settle(clients)
        await sending
        assert 7 == traffic.receipts

    asyncio.run(scenario())


def test_it_is_half_and_complete_when_programs_have_been_given_as_much():
    lines = [Line("a", "b", b"1"), Line("a", "b", b"2"), Line("b", "a", b"3")]

    async def scenario():
        traffic = Traffic(Script(lines=lines))
        await traffic.receive("b", iterate(("a", b"1")))
        assert (True, False) == (traffic.half.is_set(), traffic.complete.is_set())
        await traffic.receive("b", iterate(("a", b"2"), ("a", b"2")))
        assert not traffic.complete.is_set(), "a copy too many stands for no other message"
        await traffic.receive("a", iterate(("b", b"3")))
        assert (True, 4) == (traffic.complete.is_set(), traffic.handed)

    asyncio.run(scenario())


def test_what_the_script_does_not_have_is_noted_too():
    async def scenario():
        traffic = Traffic(Script(lines=[Line("a", "b", b"1")]))
        await traffic.receive("b", iterate(("c", b"?")))
        assert [b"?"] == traffic.pairs["c", "b"].handed
        assert [] == traffic.pairs["a", "b"].handed
        assert not traffic.complete.is_set()

    asyncio.run(scenario())


def group_script():
    said = [("a", b"1"), ("b", b"2"), ("a", b"1"), ("c", b"3")]
    return Script(lines=[Line(who, "#g", payload) for who, payload in said], group="#g")


def test_a_line_to_the_group_is_sent_once_and_due_to_everybody_else(clients):
    async def scenario():
        traffic = Traffic(group_script())
        assert 8 == traffic.deliveries
        traffic.may_end.set()
        sending = asyncio.create_task(traffic.send(clients))
        while not sending.done():
            await turns()
            settle(clients)
        await sending
        assert [("#g", b"1"), ("#g", b"1")] == clients["a"].log
        assert {(x, y) for x in "abc" for y in "abc" if x != y} == set(traffic.pairs)
        assert traffic.pairs["a", "b"].said is traffic.pairs["a", "c"].said
        assert 4 == traffic.receipts

    asyncio.run(scenario())


def test_a_group_is_complete_when_everybody_else_has_everything(clients):
    async def scenario():
        traffic = Traffic(group_script())
        traffic.may_end.set()
        sending = asyncio.create_task(traffic.send(clients))
        await turns()
        settle(clients)
        await sending
        await traffic.receive("a", iterate(("b", b"2"), ("c", b"3"), ("a", b"1")))
        await traffic.receive("b", iterate(("a", b"1"), ("a", b"1"), ("c", b"3"), ("a", b"1")))
        await traffic.receive("c", iterate(("a", b"1"), ("b", b"2")))
        assert not traffic.complete.is_set(), "copies, own ones too, stand for no other message"
        assert 0 == traffic.pairs["a", "a"].said.expected
        await traffic.receive("c", iterate(("a", b"1")))
        assert traffic.complete.is_set()
        assert [2, 2] == [len(traffic.pairs["a", name].delivery_s) for name in "bc"]

    asyncio.run(scenario())
