"""I3 for groups: what DELIVERED of a group message claims, against what was committed.

A group message shows DELIVERED when every user who can still get it has it on some device: of each
user due it, a device has committed it, or none ever will, or all have left.
"""

from __future__ import annotations

from collections import defaultdict

from udpim.model import Endpoint, MessageState, MsgId, is_group
from udpim.testing.history import History
from udpim.testing.lines import counts
from udpim.testing.promises import NEVER, Stories


def committed_at(h: History) -> dict[MsgId, int]:
    """Return when a message was first committed at an endpoint that has a say."""
    committed: dict[MsgId, int] = {}
    for ((endpoint, _), msgid), orders in h.commits.items():
        if counts(msgid.stream, endpoint):
            committed[msgid] = min(orders[0], committed.get(msgid, NEVER))
    return committed


def i3_groups(h: History) -> Stories:
    """DELIVERED of a group message is true of everybody who is still due it."""
    done: dict[tuple[Endpoint, MsgId], int] = {}
    for ((endpoint, _), msgid), orders in h.commits.items():
        done[endpoint, msgid] = min(orders[0], done.get((endpoint, msgid), NEVER))
    for ((endpoint, _), msgid), order in h.voided.items():
        done[endpoint, msgid] = min(order, done.get((endpoint, msgid), NEVER))
    for msgid, states in h.shown.items():
        if not is_group(msgid.stream.conversation):
            continue
        for shown in states:
            if shown.state is MessageState.DELIVERED:
                for user in _lacking(h, done, msgid, shown.order):
                    yield f"{msgid} was shown DELIVERED, and {user} does not have it"


def _lacking(
    h: History, done: dict[tuple[Endpoint, MsgId], int], msgid: MsgId, order: int
) -> list[str]:
    users: dict[str, bool] = defaultdict(bool)
    for line in h.lines[h.store_epoch].due(msgid.stream, h.epochs.get(msgid, 0)):
        if counts(msgid.stream, line.endpoint):
            left = 0 < line.left_order < order
            users[line.endpoint.user] |= left or done.get((line.endpoint, msgid), NEVER) < order
    return [user for user, there in users.items() if not there]
