"""What became of a run's messages, as sets to be compared: the account that a campaign adds up.

Attempts, acknowledged, delivered and receipted as in Jepsen's total-queue checker; from them lost,
duplicated, unexpected, misordered and recovered. The invariants say what is wrong and why; these
say how much of everything there was.
"""

from __future__ import annotations

from collections import Counter

from udpim.model import FINAL_STATES, MessageState, MsgId
from udpim.testing.history import History
from udpim.testing.invariants import i1_no_loss, i2_no_duplicate, i11_order

_RECEIPTED = {MessageState.DELIVERED, MessageState.READ}


def account(h: History) -> Counter[str]:
    """Count what became of the messages of a history.

    Returns:
        ``attempts``: sends asked for; ``acknowledged``: where `send()` returned; ``delivered``:
        messages that at least one application has; ``receipted``: shown DELIVERED; ``negative``:
        shown VOID, EXCUSED or REJECTED; ``open``: no final state; ``recovered``: delivered although
        `send()` never returned; ``lost``, ``duplicated``, ``misordered``, ``unexpected``:
        violations.
    """
    delivered = {one.msgid for one in h.handovers}
    shown: dict[MsgId, set[MessageState]] = {
        msgid: {one.state for one in states} for msgid, states in h.shown.items()
    }
    accepted = {msgid for msgid, send in h.sends.items() if send.accepted is not None}
    known = {send.payload for send in h.sends.values()}
    return Counter(
        attempts=len(h.sends),
        acknowledged=len(accepted),
        delivered=len(delivered),
        receipted=sum(bool(states & _RECEIPTED) for states in shown.values()),
        negative=sum(bool(states & (FINAL_STATES - _RECEIPTED)) for states in shown.values()),
        open=len(h.open),
        recovered=len(delivered & h.untold),
        lost=sum("vanished" in story for story in i1_no_loss(h)),
        duplicated=sum(1 for _ in i2_no_duplicate(h)),
        misordered=sum(1 for _ in i11_order(h)),
        unexpected=sum(one.payload not in known for one in h.handovers),
    )
