"""A client's questions to its server, until they are answered (PROTOCOL §4.5.21).

Between the application and the client node. A question is asked on every connection anew until its
answer comes; nothing of it is durable, for nobody but the process waits for it. Here are those
about who is there; `udpim.im.group_questions` has those about groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from udpim.config import INQUIRIES_MAX
from udpim.errors import TooManyInquiries
from udpim.wire.im_packets import GroupA, GroupR, PresenceA, PresenceR

Question = TypeVar("Question", GroupR, PresenceR)
Answer = TypeVar("Answer", GroupA, PresenceA)


class Questions(Generic[Question, Answer]):
    """The questions of one kind."""

    def __init__(self, open_max: int, about: str) -> None:
        """Start without any; ``about`` names them where they are too many."""
        self._open_max = open_max
        self._about = about
        self._open: dict[int, Question] = {}
        self.unsent: dict[int, None] = {}
        """Numbers of those that have not left in this session."""
        self._last = 0
        self._answers: list[Answer] = []

    def _begin(self, question: Callable[[int], Question]) -> int:
        """Begin a question; it leaves when it can.

        Args:
            question: Makes the packet, given its number.

        Returns:
            Its number, which the answer carries.

        Raises:
            TooManyInquiries: As many as may be are open.
        """
        if len(self._open) >= self._open_max:
            raise TooManyInquiries(self._open_max, self._about)
        while True:
            self._last = (self._last + 1) % 2**32
            if self._last not in self._open:
                break
        self._open[self._last] = question(self._last)
        self.unsent[self._last] = None
        return self._last

    def forget(self, request: int) -> None:
        """Nobody waits for the answer any more."""
        self._open.pop(request, None)
        self.unsent.pop(request, None)

    def session_started(self) -> None:
        """Ask everything that is open again: an earlier server may have died over it."""
        self.unsent = dict.fromkeys(self._open)

    def transmit(self, emit: Callable[[Question], None], room: int) -> None:
        """Give the questions that have not left to ``emit``, ``room`` of them at most."""
        for request in list(self.unsent)[: max(0, room)]:
            del self.unsent[request]
            emit(self._open[request])

    def receive(self, packet: Answer) -> bool:
        """Take an answer; tell whether somebody waits for it."""
        if packet.request not in self._open:
            return False
        self.forget(packet.request)
        self._answers.append(packet)
        return True

    def take_answers(self) -> list[Answer]:
        """Return the answers since the last call."""
        answers = self._answers
        if answers:
            self._answers = []
        return answers

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)


class Inquiries(Questions[PresenceR, PresenceA]):
    """The questions about who is there."""

    def __init__(self) -> None:
        """Start without any."""
        super().__init__(INQUIRIES_MAX, "presence")

    def ask(self, user: str) -> int:
        """Ask who of a user is there; returns the question's number.

        Raises:
            TooManyInquiries: As many as may be are open.
        """
        return self._begin(lambda number: PresenceR(number, user))
