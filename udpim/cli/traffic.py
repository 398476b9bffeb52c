"""Plays a script with real clients: sends its lines, receives them, and notes both.

`Script` → clients' ``send_many`` → … → iteration over the clients → `Pair`, one for each sender
and recipient. Nothing is judged here; that is `udpim.cli.audit`'s task.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from udpim import Client
from udpim.cli.script import Line, Script
from udpim.errors import DeliveryError
from udpim.receipt import Receipt

UNSETTLED_SHARE, UNSETTLED_MIN, UNSETTLED_MAX = 8, 128, 1024
"""An eighth of the script is kept unreceipted, within limits: enough to fill the pipe, few enough
that the latencies tell about the network and not about a queue in front of it."""
BATCH_MAX = 32
"""Lines handed over at once; those of one sender to one recipient share a ``send_many``."""


@dataclass(slots=True, kw_only=True)
class Said:
    """What one client sent to a user or a group, and what its program saw of it."""

    to: str
    expected: int = 0
    """Lines of the script."""
    sent: list[bytes] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    receipt_s: list[float] = field(default_factory=list)
    sent_at: dict[bytes, list[float]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True, kw_only=True)
class Pair:
    """The traffic from one client to another, and what the recipient's program saw of it."""

    sender: str
    recipient: str
    said: Said
    """What was sent; in a group, all other members share it."""
    handed: list[bytes] = field(default_factory=list)
    delivery_s: list[float] = field(default_factory=list)
    copies: Counter[bytes] = field(default_factory=Counter)
    """How often each payload was handed over."""

    def hand(self, payload: bytes, now: float) -> None:
        """Note what the program was given; the n-th copy is the n-th message of this payload."""
        self.handed.append(payload)
        times = self.said.sent_at.get(payload, ())
        if self.copies[payload] < len(times):
            self.delivery_s.append(now - times[self.copies[payload]])
        self.copies[payload] += 1


class Traffic:
    """One playing of a script.

    Attributes:
        said: What was sent, by sender and what the script has for a recipient.
        pairs: What was seen, by sender and recipient.
        deliveries: How many messages programs have to be given.
        handed: Messages that programs were given.
        receipts: Messages that senders know to be delivered.
        half: Set when half of the deliveries have happened.
        complete: Set when as many messages as the script has were handed over to each.
        may_end: To be set by the caller: from then on the last lines are sent too.
    """

    def __init__(self, script: Script) -> None:
        """Prepare a pair for everybody who writes to somebody."""
        self.said: dict[tuple[str, str], Said] = {}
        self.pairs: dict[tuple[str, str], Pair] = {}
        self.handed = 0
        self.receipts = 0
        self.half = asyncio.Event()
        self.complete = asyncio.Event()
        self.may_end = asyncio.Event()
        self._lines = script.lines
        for line in script.lines:
            self.said.setdefault(line[:2], Said(to=line.recipient)).expected += 1
        for (sender, to), said in self.said.items():
            for name in script.recipients(sender, to):
                self.pairs[sender, name] = Pair(sender=sender, recipient=name, said=said)
        self.deliveries = sum(pair.said.expected for pair in self.pairs.values())
        self._missing = self.deliveries

    def pair(self, sender: str, recipient: str) -> Pair:
        """The pair; a new one for a message that the script does not have."""
        if (sender, recipient) not in self.pairs:
            nothing = Said(to=recipient)
            self.pairs[sender, recipient] = Pair(sender=sender, recipient=recipient, said=nothing)
        return self.pairs[sender, recipient]

    async def send(self, clients: Mapping[str, Client]) -> None:
        """Send the script in its order, only so many messages ahead of their receipts.

        Returns when every receipt is final.
        """
        share = len(self._lines) // UNSETTLED_SHARE
        room = asyncio.Semaphore(min(max(share, UNSETTLED_MIN), UNSETTLED_MAX))
        held_back = self._held_back_from()
        async with asyncio.TaskGroup() as settling:
            for start, batch in self._batches(held_back):
                if start >= held_back:
                    await self.may_end.wait()
                for _ in batch:
                    await room.acquire()
                # The next batch begins after the outboxes have this one: that keeps the order.
                async with asyncio.TaskGroup() as sending:
                    for key, payloads in _by_stream(batch).items():
                        sending.create_task(
                            self._send(clients[key[0]], self.said[key], payloads, room, settling)
                        )

    def _held_back_from(self) -> int:
        """The last eighth waits for `may_end`, so that even a short run is killed midway."""
        return len(self._lines) - max(1, len(self._lines) // 8)

    def _batches(self, held_back: int) -> Iterator[tuple[int, Sequence[Line]]]:
        for begin, end in ((0, held_back), (held_back, len(self._lines))):
            for start in range(begin, end, BATCH_MAX):
                yield start, self._lines[start : min(start + BATCH_MAX, end)]

    async def _send(
        self,
        client: Client,
        said: Said,
        payloads: list[bytes],
        room: asyncio.Semaphore,
        settling: asyncio.TaskGroup,
    ) -> None:
        now = asyncio.get_running_loop().time()
        for payload in payloads:
            said.sent_at[payload].append(now)
        said.sent += payloads
        receipts = await client.send_many(said.to, payloads)
        said.receipts += receipts
        for receipt in receipts:
            settling.create_task(self._settle(said, receipt, now, room))

    async def _settle(
        self, said: Said, receipt: Receipt, sent_at: float, room: asyncio.Semaphore
    ) -> None:
        try:
            await receipt
            self.receipts += 1
            said.receipt_s.append(asyncio.get_running_loop().time() - sent_at)
        except DeliveryError:
            pass  # the audit looks at its state
        finally:
            room.release()

    async def receive(self, name: str, client: Client) -> None:
        """Be somebody's program: note what is handed over, and when."""
        loop = asyncio.get_running_loop()
        async for message in client:
            pair = self.pair(message.sender, name)
            pair.hand(message.payload, loop.time())
            self.handed += 1
            self._missing -= len(pair.handed) <= pair.said.expected
            if self.handed >= self.deliveries // 2:
                self.half.set()
            if not self._missing:
                self.complete.set()


def _by_stream(batch: Sequence[Line]) -> dict[tuple[str, str], list[bytes]]:
    payloads: dict[tuple[str, str], list[bytes]] = {}
    for line in batch:
        payloads.setdefault((line.sender, line.recipient), []).append(line.payload)
    return payloads
