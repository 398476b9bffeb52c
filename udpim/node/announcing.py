"""What a client's machines have to tell their surroundings, as events.

Outbox, inbox and reception collect what happened; the client node asks here before each of its
events, so that much that happened in one turn is one event.
"""

from __future__ import annotations

from collections import deque

from udpim.im.receiver import Inbox
from udpim.im.sender import Outbox
from udpim.node.events import (
    Event,
    GroupAnswered,
    MessagesReleased,
    MessagesRerouted,
    PresenceAnswered,
    ReceiptsChanged,
    ReceiptsTouched,
    SignalsReceived,
    StreamsReborn,
)
from udpim.node.reception import Reception


def announce(events: deque[Event], outbox: Outbox, inbox: Inbox, reception: Reception) -> None:
    """Append what has happened since the last call."""
    if outbox.reborn:
        reborn, outbox.reborn = outbox.reborn, []
        events.append(StreamsReborn(streams=reborn))
    if outbox.rerouted:
        rerouted, outbox.rerouted = outbox.rerouted, []
        events.append(MessagesRerouted(messages=rerouted))
    changes = outbox.take_changes()
    if changes:
        events.append(ReceiptsChanged(changes=changes))
    if outbox.touched:
        touched, outbox.touched = outbox.touched, []
        events.append(ReceiptsTouched(streams=touched))
    answers = reception.groups.take_answers()
    if answers:
        events.append(GroupAnswered(answers=answers))
    released = inbox.take_released()
    if released:
        heard = max(run.messages[-1][1] for run in released)
        outbox.heard = max(outbox.heard, heard)
        events.append(MessagesReleased(runs=released))
    if reception.signals:
        signals, reception.signals = reception.signals, []
        events.append(SignalsReceived(signals=signals))
    presences = reception.inquiries.take_answers()
    if presences:
        events.append(PresenceAnswered(answers=presences))
