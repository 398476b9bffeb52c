"""What a client's machines have to tell; the events themselves are in test_client.py."""

from collections import deque
from types import SimpleNamespace

from udpim.node.announcing import announce


def machines():
    answers = SimpleNamespace(take_answers=list)
    outbox = SimpleNamespace(reborn=[], rerouted=[], touched=[], heard=5, take_changes=list)
    inbox = SimpleNamespace(take_released=list)
    return outbox, inbox, SimpleNamespace(groups=answers, inquiries=answers, signals=[])


def test_nothing_happened_and_nothing_is_told():
    events = deque()
    announce(events, *machines())
    assert deque() == events


def test_what_happened_is_told_once():
    outbox, inbox, reception = machines()
    outbox.reborn, outbox.rerouted, outbox.touched = ["a"], ["b"], ["c"]
    reception.signals = ["d"]
    events = deque()
    announce(events, outbox, inbox, reception)
    announce(events, outbox, inbox, reception)
    names = ["StreamsReborn", "MessagesRerouted", "ReceiptsTouched", "SignalsReceived"]
    assert names == [type(event).__name__ for event in events]


def test_the_latest_stamp_that_was_heard_is_remembered():
    outbox, inbox, reception = machines()
    runs = [SimpleNamespace(messages=[(1, 8, b""), (2, stamp, b"")]) for stamp in (9, 3)]
    inbox.take_released = lambda: runs
    announce(deque(), outbox, inbox, reception)
    assert 9 == outbox.heard
