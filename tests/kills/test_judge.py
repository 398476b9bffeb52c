"""The judge finds each fault, and finds none where there is none."""

import pytest

from tests.kills.case import end_to_end_timer_s
from tests.kills.disk import InboxRow, Outbox
from tests.kills.judge import Facts, Remains, judge

PAYLOADS = {1: "one", 2: "two", 3: "three"}


def row(seq, payload=None):
    return InboxRow("alice", 7, seq, payload or PAYLOADS[seq])


def receipt(seq, state, at_s=2.0):
    return {"event": "receipt", "seqs": [seq], "state": state, "at_s": at_s}


def handed(payload, *, again=False):
    return {"event": "handed", "payload": payload, "again": again}


def clean():
    """A case in which all went well: what was seen, and what is left."""
    facts = Facts()
    facts.issued = list(PAYLOADS.values())
    facts.heard({"event": "sent", "messages": list(PAYLOADS.items())})
    facts.durable("queue", [1], 0.5)
    facts.durable("inbox", PAYLOADS, 1.0)
    remains = Remains(
        sender=[receipt(1, "STORED", 0.9), *(receipt(seq, "DELIVERED") for seq in PAYLOADS)],
        recipient=[handed(payload) for payload in PAYLOADS.values()],
        inbox=[row(seq) for seq in PAYLOADS],
        outbox=Outbox({}, 4, 4, {1, 2, 3}, set(), set(), set()),
        queue=[],
    )
    return facts, remains


def test_a_clean_case_has_no_fault():
    assert [] == judge(*clean())


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        ("lost", {"inbox": [row(1), row(3)], "recipient": [handed("one"), handed("three")]}),
        ("lost", {"recipient": [handed("one"), handed("two")]}),
        ("doubled", {"inbox": [row(1), row(2), row(3), row(4, "three")]}),
        ("doubled", {"recipient": [*map(handed, PAYLOADS.values()), handed("two", again=True)]}),
        ("altered", {"inbox": [row(1), row(2), row(3), row(4, "four")]}),
        ("altered", {"inbox": [row(1), row(2, "three"), row(3, "two")]}),
        ("misordered", {"inbox": [row(1), row(3), row(2)]}),
        ("false", {"sender": [receipt(1, "DELIVERED", 0.9)]}),
        ("false", {"sender": [receipt(1, "STORED", 0.4)]}),
        ("false", {"sender": [receipt(1, "VOID")]}),
        ("false", {"sender": [receipt(1, "REJECTED")]}),
        ("false", {"inbox": [row(1), row(2)]}),
        ("open", {"outbox": Outbox({3: "three"}, 4, 3, {1, 2}, set(), set(), set())}),
        ("open", {"queue": [("alice", 3, False)]}),
    ],
)
def test_a_fault_is_named(fault, left):
    facts, remains = clean()
    problems = judge(facts, remains._replace(**left))
    assert fault in {problem.partition(":")[0] for problem in problems}


def test_a_final_state_does_not_change_any_more():
    facts, remains = clean()
    remains.sender.append(receipt(1, "STORED"))
    assert ["false: seq 1 was DELIVERED and then STORED"] == judge(facts, remains)


def test_what_was_given_up_may_be_void_and_is_lost_only_if_nobody_said_so():
    facts, remains = clean()
    facts.may_be_void = {2}
    remains = remains._replace(
        sender=[receipt(1, "DELIVERED"), receipt(2, "VOID"), receipt(3, "DELIVERED")],
        recipient=[handed("one"), handed("three")],
        inbox=[row(1), row(3)],
        outbox=remains.outbox._replace(delivered={1, 3}),
    )
    assert [] == judge(facts, remains)
    silent = remains._replace(sender=[receipt(1, "DELIVERED"), receipt(3, "DELIVERED")])
    assert {"lost", "open"} == {problem.partition(":")[0] for problem in judge(facts, silent)}


def excused():
    """A case in which the third message was due to nobody."""
    facts, remains = clean()
    facts.due_to_nobody = {"three"}
    del facts.on_disk["inbox"][3]
    return facts, remains._replace(
        sender=[receipt(1, "DELIVERED"), receipt(2, "DELIVERED"), receipt(3, "EXCUSED")],
        recipient=[handed("one"), handed("two")],
        inbox=[row(1), row(2)],
        outbox=remains.outbox._replace(delivered={1, 2}),
    )


def test_what_is_due_to_nobody_ends_excused_whether_or_not_that_was_shown():
    facts, remains = excused()
    assert [] == judge(facts, remains)
    for seen in ([], [receipt(3, "ACCEPTED")]):
        assert [] == judge(facts, remains._replace(sender=[*remains.sender[:2], *seen]))


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        ("false", {"inbox": [row(1), row(2), row(3)]}),
        ("false", {"sender": [receipt(3, "DELIVERED")]}),
        ("false", {"sender": [receipt(1, "EXCUSED")]}),
        ("open", {"sender": [], "outbox": Outbox({3: "three"}, 4, 3, {1, 2}, set(), set(), set())}),
        ("open", {"sender": [], "outbox": Outbox({}, 4, 4, {2}, set(), set(), set())}),
    ],
)
def test_nobody_else_is_excused_and_nothing_but_excused(fault, left):
    facts, remains = excused()
    problems = judge(facts, remains._replace(**left))
    assert fault in {problem.partition(":")[0] for problem in problems}


def test_a_message_whose_send_did_not_return_may_be_delivered_once():
    facts, remains = clean()
    facts.returned.remove("three")
    assert [] == judge(facts, remains)
    never = remains._replace(
        recipient=[handed("one"), handed("two")],
        inbox=[row(1), row(2)],
        sender=[receipt(1, "DELIVERED"), receipt(2, "DELIVERED")],
        outbox=Outbox({}, 3, 3, {1, 2}, set(), set(), set()),
    )
    del facts.messages[3]
    assert [] == judge(facts, never)


def test_the_program_may_get_a_message_again_where_it_died():
    facts, remains = clean()
    remains.recipient.append(handed("three", again=True))
    assert [] == judge(facts, remains, handed_again=True)


@pytest.mark.parametrize(
    ("age_s", "timer_s"), [(0, 3), (3, 3), (3.1, 6), (9, 6), (9.1, 12), (1e4, 60)]
)
def test_the_end_to_end_timer_doubles_from_3_s_to_60_s(age_s, timer_s):
    assert timer_s == end_to_end_timer_s(age_s)
