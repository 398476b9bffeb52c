"""A client's questions about groups (PROTOCOL §5.10).

Every action may be asked twice, so a lost answer costs nothing.
"""

from __future__ import annotations

from udpim.im.inquiries import Questions
from udpim.model import GroupAction
from udpim.wire.im_packets import GroupA, GroupR

QUESTIONS_MAX = 256
"""Questions of one client that are not answered."""


class GroupQuestions(Questions[GroupR, GroupA]):
    """What one client has asked and not heard of."""

    def __init__(self) -> None:
        """Start without questions."""
        super().__init__(QUESTIONS_MAX, "groups")

    def ask(self, action: GroupAction, group: str, user: str) -> int:
        """Ask the server; returns the question's number.

        Raises:
            TooManyInquiries: As many as may be are open.
        """
        return self._begin(lambda number: GroupR(number, action, group, user))
