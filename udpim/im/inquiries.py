"""A client's questions about who is there, until they are answered (PROTOCOL §4.5.21).

Between the application and the client node. A question is asked on every connection anew until its
answer comes; nothing of it is durable, for nobody but the process waits for it.
"""

from __future__ import annotations

from collections.abc import Callable

from udpim.config import INQUIRIES_MAX
from udpim.errors import TooManyInquiries
from udpim.wire.im_packets import PresenceA, PresenceR


class Inquiries:
    """The questions of one client."""

    def __init__(self) -> None:
        """Start without any."""
        self._open: dict[int, str] = {}
        self._unsent: dict[int, None] = {}
        self._last = 0
        self._answers: list[PresenceA] = []

    def ask(self, user: str) -> int:
        """Begin a question; it leaves when it can.

        Returns:
            Its number, which the answer carries.

        Raises:
            TooManyInquiries: As many as may be are open.
        """
        if len(self._open) >= INQUIRIES_MAX:
            raise TooManyInquiries(INQUIRIES_MAX)
        while True:
            self._last = (self._last + 1) % 2**32
            if self._last not in self._open:
                break
        self._open[self._last] = user
        self._unsent[self._last] = None
        return self._last

    def forget(self, request: int) -> None:
        """Nobody waits for the answer any more."""
        self._open.pop(request, None)
        self._unsent.pop(request, None)

    def session_started(self) -> None:
        """Ask everything that is open again: an earlier server may have died over it."""
        self._unsent = dict.fromkeys(self._open)

    def transmit(self, emit: Callable[[PresenceR], None], room: int) -> None:
        """Give the questions that have not left to ``emit``, ``room`` of them at most."""
        for request in list(self._unsent)[: max(0, room)]:
            del self._unsent[request]
            emit(PresenceR(request, self._open[request]))

    def receive(self, packet: PresenceA) -> bool:
        """Take an answer; tell whether somebody waits for it."""
        if packet.request not in self._open:
            return False
        self.forget(packet.request)
        self._answers.append(packet)
        return True

    def take_answers(self) -> list[PresenceA]:
        """Return the answers since the last call."""
        answers, self._answers = self._answers, []
        return answers

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)
