"""The kill points: which effects there are, and at which of them who dies in which scenario."""

from typing import NamedTuple, get_args

from tests.kills.case import RECIPIENT, SENDER, SERVER
from tests.kills.trap import IM_PACKETS, PHASES
from udpim.im.records import Op
from udpim.node.effects import Commit, Effect


class Point(NamedTuple):
    """One effect boundary."""

    scenario: str
    role: str
    effect: str
    """Kind and ordinal: ``PutOutbox#2``."""
    phase: str

    @property
    def kind(self):
        """The effect's kind."""
        return self.effect.partition("#")[0]

    def __str__(self):
        return f"{self.scenario}-{self.role}-{self.effect}-{self.phase}"


# Which of a kind, as a run makes them in which nobody dies: a number stands for all up to it. What
# is left out rides in the transaction or burst of another kind that is here, or of an earlier
# scenario.
PLAN = {
    "online": {
        SENDER: {
            "PutMeta": 2,
            "PutOutbox": 3,
            "StampOutbox": 1,
            "TrimOutbox": 3,
            "login": 1,
            "msg:R": 3,
        },
        SERVER: {
            "PutMeta": 1,
            "Authenticate": 2,
            "PutDevice": 3,
            "login-ok": 2,
            "members": 1,
            "msg:A": 1,
            "msg:N": 3,
            "ack:N": 3,
            "ack:A": 1,
        },
        RECIPIENT: {"PutMeta": 2, "PutInbox": 3, "MarkHandled": 3, "login": 1, "ack:R": 3},
    },
    "pipelined": {
        SENDER: {"PutOutbox": 3, "StampOutbox": 1, "TrimOutbox": 1, "msg:R": 2},
        SERVER: {"msg:N": 1, "ack:N": 1},
        RECIPIENT: {"PutInbox": 1, "MarkHandled": 1, "ack:R": 1},
    },
    "recipient_away": {
        SENDER: {"PutOutStream": (3, 5), "TrimOutbox": 2},
        SERVER: {
            "PutDevice": (3, 4),
            "PutQueue": 2,
            "NotifyOffline": 2,
            "ReadQueueItems": 1,
            "DeleteQueue": 1,
            "offline:A": 1,
            "ack:N": 3,
        },
        RECIPIENT: {
            "PutMeta": (3,),
            "PutInbox": 2,
            "MarkHandled": 2,
            "login": (2,),
            "offline:R": 1,
            "offlineack:R": 1,
        },
    },
    "sender_away": {
        SENDER: {"PutMeta": (4,), "TrimOutbox": 3, "status:R": 1},
        SERVER: {
            "PutDevice": (5, 6),
            "PutReceipt": 1,
            "DropReceipt": 1,
            "status:A": 1,
        },
        RECIPIENT: {"PutInbox": 2, "MarkHandled": 2},
    },
    "given_up": {
        SENDER: {"PutOutbox": (2,), "PutOutStream": (4, 7, 9), "TrimOutbox": 1, "cancel:R": 2},
        SERVER: {"PutQueue": 5, "ReadQueueItems": 1, "DeleteQueue": 1, "offline:A": 1},
        RECIPIENT: {"PutInStream": 1, "MarkHandled": 1, "offlineack:R": 1},
    },
    "poisoned": {RECIPIENT: {"SetAside": 1, "TakeBack": 1, "MarkHandled": 1}},
    "asked": {
        SENDER: {"presence:R": 1},
        SERVER: {"MaySee": 1, "presence:A": 1},
    },
    "grouped": {
        SENDER: {"group:R": 2, "PutOutbox": (1, 3), "TrimOutbox": (1, 3)},
        SERVER: {
            "AuthorizeGroup": 3,
            "PutGroup": 1,
            "PutMember": (2,),
            "DropMember": 1,
            "group:A": 3,
            "members": (1, 3),
            "msg:N": 1,
            "tally": 2,
            "gone": 1,
        },
        RECIPIENT: {"PutInbox": 1, "MarkHandled": 1, "ack:R": 1, "group:R": 1},
    },
    "inspected": {SERVER: {"MaySend": 1, "Inspect": 2}},
}

COMMITTED = {op.__name__ for op in get_args(Op)}
ASKED = {effect.__name__ for effect in get_args(Effect)} - {Commit.__name__}
DECLARED = COMMITTED | ASKED
"""Every kind of effect that the cores may ask for."""
WITHOUT_VERDICT = ASKED - {"ReadQueueItems"} | IM_PACKETS
"""Carried out by a handler, or by the kernel: nobody tells the node."""


def _phases_of(kind):
    return PHASES[:2] if kind in WITHOUT_VERDICT else PHASES


def _ordinals(which):
    return range(1, which + 1) if isinstance(which, int) else which


POINTS = [
    Point(scenario, role, f"{kind}#{ordinal}", phase)
    for scenario, roles in PLAN.items()
    for role, kinds in roles.items()
    for kind, which in kinds.items()
    for ordinal in _ordinals(which)
    for phase in _phases_of(kind)
]


def points_of(role):
    """The points at which this role dies."""
    return [point for point in POINTS if point.role == role]
