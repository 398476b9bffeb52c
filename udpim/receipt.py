"""Receipts: what became of a message, to look at and to wait for (PROTOCOL §5.1).

A receipt is a view of its stream's ranges, so a burst of verdicts touches none of them; a future
exists only while somebody waits for a state that has not come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence

from udpim.errors import DeliveryError, DeliveryRejected, DeliveryTimeout, DeliveryVoid, Error
from udpim.im.audience import Progress
from udpim.im.changes import StreamChanged
from udpim.im.out_stream import OutStream
from udpim.im.sender import Outbox
from udpim.model import FINAL_STATES, MessageState, MsgId, StreamId
from udpim.ranges import Range

ANY = -1
"""As a level: any news of the message."""
_SETTLED = 99
"""As a level: only a final state will do."""

_Waiters = list[tuple[int, "asyncio.Future[None]"]]


def _may_end(state: MessageState, level: int) -> bool:
    """Tell whether somebody who waits for ``level`` may have an answer."""
    if level == _SETTLED:
        return state in FINAL_STATES or state is MessageState.UNKNOWN
    return state >= level


class ReceiptBook:
    """Who waits for which message of one client."""

    def __init__(self, outbox: Outbox, wake: Callable[[], None]) -> None:
        """Serve the receipts of this outbox; ``wake`` has its commands carried out."""
        self.outbox = outbox
        self.wake = wake
        self.error: Error | None = None
        """Why nothing will change any more."""
        self._waiting: dict[OutStream, dict[int, _Waiters]] = {}

    @property
    def waiting(self) -> int:
        """Messages that somebody waits for."""
        return sum(map(len, self._waiting.values()))

    def changed(self, changes: Sequence[StreamChanged]) -> None:
        """Resolve whoever waits for these."""
        for stream, first, last, state in changes:
            seqs = self._waiting.get(stream)
            if seqs is None:
                continue
            span: Iterable[int] = range(first, last + 1)
            if last - first >= len(seqs):
                span = [seq for seq in seqs if first <= seq <= last]
            for seq in span:
                waiters = seqs.get(seq)
                if waiters is None:
                    continue
                seqs[seq] = [w for w in waiters if not self._answer(w, state)]
                if not seqs[seq]:
                    del seqs[seq]
            if not seqs:
                del self._waiting[stream]

    def touched(self, streams: Sequence[tuple[OutStream, list[Range]]]) -> None:
        """Wake whoever follows these closely."""
        for stream, ranges in streams:
            for seq in list(self._waiting.get(stream, ())):
                if any(first <= seq <= last for first, last in ranges):
                    for level, future in self._waiting[stream][seq]:
                        if level == ANY and not future.done():
                            future.set_result(None)

    def _answer(self, waiter: tuple[int, asyncio.Future[None]], state: MessageState) -> bool:
        level, future = waiter
        if not future.done() and _may_end(state, level):
            future.set_result(None)
        return future.done()

    def fail(self, error: Error) -> None:
        """Nothing will change any more: say so to everybody who waits."""
        self.error = error
        for seqs in self._waiting.values():
            for waiters in seqs.values():
                for _, future in waiters:
                    if not future.done():
                        future.set_exception(error)
        self._waiting.clear()

    async def news(self, stream: OutStream, seq: int) -> None:
        """Wait until an endpoint gave a verdict, or the message shows another state."""
        if self.error is not None:
            raise self.error
        future = asyncio.get_running_loop().create_future()
        waiter = (ANY, future)
        self._waiting.setdefault(stream, {}).setdefault(seq, []).append(waiter)
        try:
            await future
        finally:
            self._forget(stream, seq, waiter)

    async def reach(self, stream: OutStream, seq: int, level: int) -> MessageState:
        """Wait until the message shows ``level`` or something that ends the wait."""
        while not _may_end(state := stream.state(seq), level) or (
            level == _SETTLED and not stream.final(seq)
        ):
            if self.error is not None:
                raise self.error
            future = asyncio.get_running_loop().create_future()
            waiters = self._waiting.setdefault(stream, {}).setdefault(seq, [])
            waiters.append((level, future))
            try:
                await future
            except asyncio.CancelledError:
                self._forget(stream, seq, (level, future))
                raise
        return state

    def _forget(
        self, stream: OutStream, seq: int, waiter: tuple[int, asyncio.Future[None]]
    ) -> None:
        seqs = self._waiting.get(stream, {})
        waiters = seqs.get(seq, [])
        if waiter in waiters:
            waiters.remove(waiter)
        if seq in seqs and not waiters:
            del seqs[seq]
            if not seqs:
                del self._waiting[stream]

    def command(self) -> Outbox:
        """Return the outbox for a command, and have the command carried out.

        Raises:
            Error: Why there can be none any more.
        """
        if self.error is not None:
            raise self.error
        self.wake()
        return self.outbox


class Receipt:
    """One message that was sent; ``await`` it for the news that it was delivered.

    Any number of tasks may wait, and each wait may be cancelled: that does not touch the message.
    """

    __slots__ = ("_book", "_seq", "_stream")

    def __init__(self, book: ReceiptBook, stream: OutStream, seq: int) -> None:
        """Made by the client's ``send`` methods."""
        self._book = book
        self._stream = stream
        self._seq = seq

    @property
    def msgid(self) -> MsgId:
        """The message's identity for ever."""
        return MsgId(self._stream.id, self._seq)

    @property
    def recipient(self) -> str:
        """The user or the group that the message is for."""
        return self._stream.id.conversation

    @property
    def state(self) -> MessageState:
        """What is known now of the message under this msgid; see `rerouted`."""
        return self._stream.state(self._seq)

    @property
    def rerouted(self) -> Receipt | None:
        """The receipt of the message that goes to somebody else instead, where the server said so.

        Waiting for this receipt, and its `cancel` and `resend`, are about that message then.
        """
        one = self._stream.onward.find(self._seq)
        if one is None:
            return None
        id_ = self._stream.id
        target = StreamId(id_.user, id_.device, one.incarnation, one.conversation)
        stream = self._book.outbox.stream(target)
        assert stream is not None, "streams are never forgotten"
        return Receipt(self._book, stream, one.new_first + self._seq - one.first)

    def __await__(self) -> Generator[object, None, MessageState]:
        """Wait for DELIVERED and return it.

        Raises:
            DeliveryVoid: It will never be delivered.
            DeliveryRejected: The server refused it for good.
            DeliveryTimeout: It was given up (deadline, `cancel`), or set aside in an inbox in
                memory, and the outcome is unknown: not "not delivered". `state` goes on to tell,
                and `settled` to wait.
            DeliveryError: Nobody waits for it any more, and nothing is claimed (EXCUSED): the
                recipient's devices have left.
            Error: The client was closed, or ended, before that was known.
        """
        return self._reach(MessageState.DELIVERED).__await__()

    async def accepted(self) -> MessageState:
        """Wait until the server has it, or anything higher; raises like awaiting the receipt."""
        return await self._reach(MessageState.ACCEPTED)

    async def stored(self) -> MessageState:
        """Wait until the server has it on disk, or higher; raises like awaiting the receipt."""
        return await self._reach(MessageState.STORED)

    async def settled(self) -> MessageState:
        """Wait for a final state, whichever, and return it.

        That is UNKNOWN where nobody is asked any more: an inbox in memory will not have it, which
        is no promise, or an endpoint that may hold a copy is forgotten by the server.

        Raises:
            Error: The client was closed, or ended, before that was known.
        """
        state = await self._book.reach(self._stream, self._seq, _SETTLED)
        rerouted = self.rerouted
        return state if rerouted is None else await rerouted.settled()

    async def _reach(self, level: MessageState) -> MessageState:
        state = await self._book.reach(self._stream, self._seq, level)
        if state <= MessageState.READ:
            return state
        rerouted = self.rerouted
        if rerouted is not None:
            return await rerouted._reach(level)
        if state is MessageState.VOID:
            raise DeliveryVoid(self)
        if state is MessageState.UNKNOWN:
            raise DeliveryTimeout(self)
        if state is MessageState.REJECTED:
            code = self._stream.reject_code(self._seq)
            raise DeliveryRejected(self, code, code.name.lower().replace("_", " "))
        raise DeliveryError(self)

    @property
    def progress(self) -> Progress:
        """Who of those it is due to has it, as far as is known now."""
        return self._stream.audience.progress(self._stream.epoch_of(self._seq), self._seq)

    async def changes(self) -> AsyncIterator[tuple[MessageState, Progress]]:
        """Yield state and progress now, and whenever one of them changes, up to a final state.

        Raises:
            Error: The client was closed, or ended, before that.
        """
        shown = None
        while True:
            now = (self.state, self.progress)
            if now != shown:
                shown = now
                yield now
            if self._stream.final(self._seq):
                return
            await self._book.news(self._stream, self._seq)

    def cancel(self) -> None:
        """Give the message up: it ends VOID, or DELIVERED if the recipient was faster.

        Until the recipient has said so it shows UNKNOWN.

        Raises:
            Error: The client was closed or ended.
        """
        rerouted = self.rerouted
        if rerouted is not None:
            rerouted.cancel()
        else:
            self._book.command().cancel(self._stream, self._seq, self._seq)

    def resend(self) -> None:
        """Send it again now, under the same msgid, if it is not settled.

        Raises:
            Error: The client was closed or ended.
        """
        rerouted = self.rerouted
        if rerouted is not None:
            rerouted.resend()
        else:
            self._book.command().resend(self._stream, self._seq)

    def __repr__(self) -> str:
        return f"<Receipt {self.msgid} {self.state.name}>"
