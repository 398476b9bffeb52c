"""The client's questions about groups: asked again on every connection until they are answered.

Every action of PROTOCOL §5.10 may be asked twice, so a lost answer costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from udpim.model import GroupAction, StreamId
from udpim.wire.im_packets import GroupA, GroupR, ImPacket

QUESTIONS_MAX = 256
"""Questions of one client that are not answered."""


class GroupQuestions:
    """What one client has asked and not heard of."""

    def __init__(self) -> None:
        """Start without questions."""
        self._numbers = 0
        self._open: dict[int, GroupR] = {}
        self._unsent: dict[int, None] = {}
        self.answers: list[GroupA] = []
        """Drained by the node."""

    def ask(self, action: GroupAction, group: str, user: str) -> int | None:
        """Ask the server.

        Returns:
            The number that the answer will carry; None while too many are open.
        """
        if len(self._open) >= QUESTIONS_MAX:
            return None
        self._numbers += 1
        self._open[self._numbers] = GroupR(self._numbers, action, group, user)
        self._unsent[self._numbers] = None
        return self._numbers

    def forget(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        self._open.pop(number, None)
        self._unsent.pop(number, None)

    def session_started(self) -> None:
        """A new connection: what was not answered is asked again."""
        self._unsent = dict.fromkeys(self._open)

    def transmit(self, emit: Callable[[ImPacket, StreamId | None], None]) -> None:
        """Emit the questions that this connection has not carried."""
        for number in self._unsent:
            emit(self._open[number], None)
        self._unsent.clear()

    def receive_group_a(self, packet: GroupA) -> None:
        """An answer; one that nobody waits for is dropped."""
        if self._open.pop(packet.request, None) is not None:
            self._unsent.pop(packet.request, None)
            self.answers.append(packet)
