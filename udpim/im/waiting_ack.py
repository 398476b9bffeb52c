"""The waiting-ack queue: flights whose receipts are awaited, in deadline order (PROTOCOL §5.3).

52im's 等待ack队列. A *flight* is a range of seqs that left in one IM packet. It enters the queue
when the first hop has taken the packet (R11) and wakes when its interval is over. Re-sends draw on
a budget, so that two layers of retransmission cannot multiply into a storm (I12). Once the budget
has refused so many that it is plainly spent, the queue rests: 10^5 late receipts cost no more than
a few.
"""

from __future__ import annotations

from heapq import heappop, heappush

from udpim import config
from udpim.im.out_stream import OutStream
from udpim.ranges import Range, RangeSet, without

REFUSALS_MAX = 8
"""Flights that the budget may refuse before the queue rests …"""
REST_S = 1.0
"""… for so long; a refused flight comes back as late."""


class Flight:
    """Seqs that left in one IM packet; the tag of its frame."""

    __slots__ = ("first", "interval_s", "is_cancel", "last", "number", "session", "stream")

    def __init__(
        self,
        stream: OutStream,
        ranges: tuple[int, int],
        interval_s: float,
        *,
        session: int,
        number: int,
        is_cancel: bool,
    ) -> None:
        """Remember what left; the timer starts with the hop's ack.

        Args:
            stream: Whose seqs.
            ranges: First and last of them.
            interval_s: Time until it wakes.
            session: On which session of this process.
            number: Rises with every flight: of two flights with one seq the later one counts.
            is_cancel: It carried cancel:R, and not payloads.
        """
        self.stream = stream
        self.first, self.last = ranges
        self.interval_s = interval_s
        self.session = session
        self.number = number
        self.is_cancel = is_cancel

    def open_ranges(self) -> list[Range]:
        """Return what is open of it, and was not taken over by a later flight."""
        cancels, messages = self.stream.open_in(self.first, self.last)
        later = [
            (a, b)
            for number, a, b in self.stream.repeats
            if number > self.number and a <= self.last and b >= self.first
        ]
        return without(cancels if self.is_cancel else messages, RangeSet(later))


class WaitingAckQueue:
    """Armed flights by deadline, and the budget for sending them again."""

    def __init__(self, now: float) -> None:
        """Start empty, with a minute's worth of budget."""
        self._heap: list[tuple[float, int, Flight]] = []
        self._counter = 0
        self._credit_bytes = 0.0
        self._credit_messages = config.RESEND_MESSAGES_BURST
        self._credit_at = now
        self._refusals = 0
        """Since something was sent again."""
        self._rests_until = now

    def arm(self, flight: Flight, when: float) -> None:
        """Wake this flight at ``when``; forget the next ones if all of theirs is settled."""
        heap = self._heap
        while heap and heap[0][2].last < heap[0][2].stream.floor:
            heappop(heap)
        self._counter += 1
        heappush(heap, (when, self._counter, flight))

    def session_started(self) -> None:
        """The budget is per session."""
        self._credit_bytes = 0.0
        self._credit_messages = config.RESEND_MESSAGES_BURST
        self._refusals, self._rests_until = 0, self._credit_at

    def sent_new(self, size_bytes: int) -> None:
        """New payload earns budget."""
        self._credit_bytes += config.RESEND_RATIO * size_bytes

    def next_due(self, now: float) -> Flight | None:
        """Return the next flight whose deadline is over, out of the queue; None: not now."""
        if not self._heap or self._heap[0][0] > now or now < self._rests_until:
            return None
        return heappop(self._heap)[2]

    def refused(self, flight: Flight, now: float) -> None:
        """The budget does not allow this one; it comes back later."""
        self.arm(flight, now + REST_S)
        self._refusals += 1
        if self._refusals >= REFUSALS_MAX:
            self._refusals, self._rests_until = 0, now + REST_S

    def allow(self, size_bytes: int, count: int, now: float) -> int:
        """Take messages from the budget: ``count`` of together ``size_bytes`` want to go again.

        Returns:
            How many of them may, the first ones; the budget has paid for these.
        """
        earned = (now - self._credit_at) * config.RESEND_MESSAGES_PER_S
        self._credit_messages = min(config.RESEND_MESSAGES_BURST, self._credit_messages + earned)
        self._credit_at = now
        if size_bytes <= self._credit_bytes:
            self._credit_bytes -= size_bytes
            allowed = count
        else:
            allowed = min(count, int(self._credit_messages))
            self._credit_messages -= allowed
        if allowed:
            self._refusals = 0
        return allowed

    def __len__(self) -> int:
        """Return how many flights wait."""
        return len(self._heap)

    def next_timeout(self) -> float | None:
        """Return when the next flight wakes."""
        return max(self._heap[0][0], self._rests_until) if self._heap else None
