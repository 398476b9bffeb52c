"""What is known of a case, and the verdict on it.

The judge asks no protocol state: it compares what the programs were told, in their journals, with
what the files hold after everybody has closed them, and with the moments at which it got there.
"""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from tests.kills import disk

FAULTS = ("lost", "doubled", "altered", "misordered", "false", "open")
"""What a problem begins with; the rest of it is words for people."""
FINAL = {"DELIVERED", "VOID", "REJECTED", "EXCUSED"}
"""The states that nothing changes any more."""


class Facts:
    """What has been seen of a case so far.

    Attributes:
        issued: Payloads that the sender was told to send, in order.
        messages: seq → payload, as far as the sender has taken them.
        returned: Payloads whose send() returned.
        states: seq → the state shown last.
        handed: Seqs that the recipient's program has got.
        on_disk: What → seq → when it was first seen to be durable.
        queued: Seqs that are in the server's queue now.
        cancels: What the sender could cancel, for each command.
        may_be_void: Seqs that it was told to give up, by cancelling or with a deadline.
        due_to_nobody: Payloads that were sent to a group of which the sender is the only member.
    """

    def __init__(self):
        self.issued = []
        self.messages = {}
        self.returned = set()
        self.states = {}
        self.handed = set()
        self.on_disk = {what: {} for what in ("inbox", "queue", "void", "receipt")}
        self.queued = set()
        self.cancels = []
        self.may_be_void = set()
        self.due_to_nobody = set()

    def heard(self, line):
        """Take one line of a runner."""
        match line["event"]:
            case "sent":
                self.taken(dict(line["messages"]))
                self.returned.update(payload for _, payload in line["messages"])
            case "receipt":
                self.states |= dict.fromkeys(line["seqs"], line["state"])
            case "handed":
                self.handed.add(line["seq"])
            case "cancelled":
                self.cancels.append(line["seqs"])
            case "durable" if line["what"] == "deleted":
                self.queued.difference_update(line["seqs"])
            case "durable":
                self.durable(line["what"], line["seqs"], line["at_s"])

    def taken(self, messages):
        """These are in the sender's outbox."""
        self.messages |= messages

    def durable(self, what, seqs, at_s):
        """These are on a disk, at this moment at the latest."""
        for seq in seqs:
            self.on_disk[what].setdefault(seq, at_s)
        if what in ("queue", "void"):
            self.queued.update(seqs)


class Remains(NamedTuple):
    """What the programs and files hold when everybody has closed them."""

    sender: list
    """The sender's journal."""
    recipient: list
    """The recipient's journal."""
    inbox: list
    outbox: disk.Outbox
    queue: list


def read_journal(path):
    """The lines of a journal, none if nobody has begun it."""
    path = Path(path)
    text = path.read_text("utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def judge(facts, remains, *, handed_again=False):
    """Say what is wrong with a case that is over; nothing should be.

    Args:
        facts: What was seen while it ran.
        remains: What is left.
        handed_again: Whether the recipient died, so that its program may get a message again.
    """
    return [
        *_inbox(facts, remains),
        *_program(remains, handed_again),
        *_receipts(facts, remains),
        *_ends(facts, remains),
    ]


def _inbox(facts, remains):
    """Exactly once, in order, and nothing that was never sent."""
    rows = Counter(row.payload for row in remains.inbox)
    for payload, count in rows.items():
        if count > 1:
            yield f"doubled: {payload} is {count} times in the inbox"
        if payload not in facts.issued:
            yield f"altered: {payload} is in the inbox and was never sent"
        if payload in facts.due_to_nobody:
            yield f"false: {payload} is in the inbox and was due to nobody"
    void = {facts.messages[q] for q, s in _last_states(remains).items() if s == "VOID"}
    for seq, payload in facts.messages.items():
        given_up = seq in facts.may_be_void and payload in void
        allowed = given_up or payload in facts.due_to_nobody
        if payload in facts.returned and not rows[payload] and not allowed:
            yield f"lost: {payload} was sent and is in no inbox"
    for row in remains.inbox:
        if facts.messages.get(row.seq, row.payload) != row.payload:
            yield f"altered: {row.payload} is in the inbox as seq {row.seq}, which was another one"
    yield from _order(remains.inbox, facts)


def _order(inbox, facts):
    places = {payload: place for place, payload in enumerate(facts.issued)}
    last_seqs, last_place = defaultdict(int), -1
    for row in inbox:
        place = places.get(row.payload, last_place)
        if row.seq <= last_seqs[row.incarnation] or place < last_place:
            yield f"misordered: {row.payload} came after one that was sent later"
        last_seqs[row.incarnation], last_place = row.seq, place


def _program(remains, handed_again):
    """Everything of the inbox was handed over, in order; again only after a crash."""
    handed = [line for line in remains.recipient if line["event"] == "handed"]
    first = [line["payload"] for line in handed if not line["again"]]
    inbox = [row.payload for row in remains.inbox]
    if first != inbox:
        yield f"lost: the program got {first}, the inbox has {inbox}"
    again = [line["payload"] for line in handed if line["again"]]
    if again and not handed_again:
        yield f"doubled: the program got {again} again, and nobody had died there"


def _shown(remains):
    """Every state that the sender was shown: (seq, state, when)."""
    for line in remains.sender:
        if line["event"] == "receipt":
            for seq in line["seqs"]:
                yield seq, line["state"], line["at_s"]


def _last_states(remains):
    states = {seq: state for seq, state, _ in _shown(remains)}
    silent = {seq for seq in remains.outbox.excused if states.get(seq) not in FINAL}
    states |= dict.fromkeys(silent, "EXCUSED")
    states |= dict.fromkeys(remains.outbox.void, "VOID")
    return states | dict.fromkeys(remains.outbox.delivered, "DELIVERED")


def _receipts(facts, remains):
    """Each was true when it was shown, and what is final stays."""
    inbox, queue = facts.on_disk["inbox"], facts.on_disk["queue"]
    in_inbox = {row.seq for row in remains.inbox}
    never = float("inf")
    final = {}
    for seq, state, at_s in _shown(remains):
        if final.get(seq, state) != state:
            yield f"false: seq {seq} was {final[seq]} and then {state}"
        if state in FINAL:
            final[seq] = state
        if state == "DELIVERED" and inbox.get(seq, never) > at_s:
            yield f"false: seq {seq} was DELIVERED before it was in the inbox"
        if state == "STORED" and min(queue.get(seq, never), inbox.get(seq, never)) > at_s:
            yield f"false: seq {seq} was STORED before it was on a disk"
        if state == "VOID" and (seq in in_inbox or seq not in facts.may_be_void):
            yield f"false: seq {seq} was VOID and is in the inbox, or nobody gave it up"
        excused = state == "EXCUSED" and facts.messages.get(seq) in facts.due_to_nobody
        if state in ("REJECTED", "EXCUSED") and not excused:
            yield f"false: seq {seq} was {state}"
    for seq in remains.outbox.delivered - in_inbox:
        yield f"false: the outbox knows seq {seq} as DELIVERED, and the inbox has it not"


def _ends(facts, remains):
    """Nothing is left open anywhere."""
    states = _last_states(remains)
    for seq, payload in facts.messages.items():
        ends = ("EXCUSED",) if payload in facts.due_to_nobody else ("DELIVERED", "VOID")
        if states.get(seq) not in ends:
            yield f"open: seq {seq} ended {states.get(seq, 'PENDING')}"
    outbox = remains.outbox
    if outbox.messages or outbox.floor != outbox.next_seq:
        yield f"open: the outbox has {outbox.messages} left, floor {outbox.floor}"
    if remains.queue:
        yield f"open: the server's queue has {remains.queue} left"
