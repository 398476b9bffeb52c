"""The audit finds each kind of damage, and counts equal payloads by how often they occur."""

import sqlite3
from dataclasses import asdict

import pytest

from udpim.cli.audit import Verdict, judge, quantile_ms, read_inbox
from udpim.errors import StoreError
from udpim.im.records import PutInbox
from udpim.model import MessageState, StreamId
from udpim.store.sqlite import SQLiteStore

DELIVERED, PENDING, VOID = MessageState.DELIVERED, MessageState.PENDING, MessageState.VOID
SENT = [b"a", b"b", b"c", b"hi", b"hi"]
ALL = [DELIVERED] * 5


def found(verdict):
    return {key: n for key, n in asdict(verdict).items() if n and key not in ("sent", "delivered")}


def test_a_perfect_run_is_clean():
    verdict = judge(SENT, ALL, SENT, SENT)
    assert verdict.clean
    assert (5, 5) == (verdict.sent, verdict.delivered)


def test_the_order_of_inbox_rows_does_not_matter():
    assert judge(SENT, ALL, SENT[::-1], SENT).clean


@pytest.mark.parametrize(
    ("states", "inbox", "handed", "expected"),
    [
        (ALL, [b"a", b"b", b"hi", b"hi"], SENT, {"lost": 1, "false_receipts": 1}),
        ([DELIVERED, DELIVERED, PENDING, DELIVERED, DELIVERED], [b"a", b"b", b"hi", b"hi"],
         [b"a", b"b", b"hi", b"hi"], {"lost": 1, "unsettled": 1}),
        (ALL, SENT, [b"a", b"b", b"c", b"hi"], {"lost": 1}),
        (ALL, [b"a", b"b", b"c", b"hi"], SENT, {"lost": 1, "false_receipts": 1}),
        (ALL, SENT, [*SENT, b"a"], {"duplicated": 1}),
        (ALL, [*SENT, b"hi"], SENT, {"duplicated": 1}),
        (ALL, SENT, [b"b", b"a", b"c", b"hi", b"hi"], {"out_of_order": 1}),
        (ALL, SENT, [b"c", b"a", b"b", b"hi", b"hi"], {"out_of_order": 2}),
        (ALL, [*SENT, b"x"], [*SENT, b"x"], {"altered": 1}),
        (ALL, [*SENT, b"x"], SENT, {"altered": 1}),
        (ALL, SENT, [*SENT, b"x", b"x"], {"altered": 2}),
        ([VOID, *ALL[1:]], SENT, SENT, {"false_receipts": 1}),
        ([PENDING, *ALL[1:]], SENT, SENT, {"unsettled": 1}),
        (ALL, [], [], {"lost": 5, "false_receipts": 5}),
    ],
)  # fmt: skip
def test_damage_is_found_and_named(states, inbox, handed, expected):
    verdict = judge(SENT, states, inbox, handed)
    assert expected == found(verdict)
    assert not verdict.clean


def test_a_true_void_is_no_false_receipt():
    verdict = judge(SENT, [VOID, *ALL[1:]], SENT[1:], SENT[1:])
    assert {"lost": 1} == found(verdict)


def test_verdicts_add_up():
    total = judge(SENT, ALL, SENT, SENT[1:]) + judge(SENT, ALL, SENT, SENT)
    assert (10, 9, 1) == (total.sent, total.delivered, total.lost)
    assert Verdict().clean


def test_the_inbox_is_read_from_the_file_by_sender(tmp_path):
    path = tmp_path / "a #store%.db"
    store = SQLiteStore(str(path), kind="client")
    for user, payloads in (("alice", [b"1", b"\xff"]), ("bob", [b"3"])):
        stream = StreamId(user, "d", 7, "carol")
        store.submit(
            0, [PutInbox(stream, (1, 2)[: len(payloads)], (5, 6)[: len(payloads)], payloads)]
        )
    store.close()
    assert {"alice": [b"1", b"\xff"], "bob": [b"3"]} == read_inbox(str(path))


def test_a_file_that_is_no_store_is_an_error(tmp_path):
    path = tmp_path / "x.db"
    sqlite3.connect(path).close()
    with pytest.raises(StoreError, match="audit"):
        read_inbox(str(path))


@pytest.mark.parametrize(
    ("ratio", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.0, 1.0), (0.001, 1.0)]
)
def test_quantiles(ratio, expected):
    assert expected == quantile_ms([n / 1000 for n in range(100, 0, -1)], ratio)


def test_no_values_have_no_quantile():
    assert None is quantile_ms([], 0.5)
