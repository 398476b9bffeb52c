"""Receipts that wait for a sender (R3)."""

from tests.im.helpers import LAPTOP, PHONE, STREAM
from udpim.im.ledger import Ledger
from udpim.im.receipt_rows import ReceiptRows
from udpim.im.records import DropReceipt, PutReceipt, ReceiptRecord


def rows(*records):
    ledger = Ledger()
    return ReceiptRows(records, ledger), ledger


def keep(r, incarnation=1, delivered=(), void=(), device="phone"):
    r.keep(STREAM, device, incarnation, delivered, void, after=lambda ok: None)


def test_verdicts_are_merged_into_one_row():
    r, ledger = rows(ReceiptRecord(STREAM, "phone", 1, ((1, 2),), ()))
    keep(r, delivered=((3, 3),), void=((5, 5),))
    record = ReceiptRecord(STREAM, "phone", 1, ((1, 3),), ((5, 5),))
    assert [PutReceipt(record)] == ledger.take_ops()
    assert [(4, 4), (6, 6)] == r.find(STREAM, "phone").missing(1, 6)
    assert r.find(STREAM, "laptop") is None


def test_verdicts_of_another_incarnation_make_way():
    r, _ = rows()
    keep(r, 1, ((1, 5),))
    keep(r, 2, ((3, 3),))
    assert [(1, 2), (4, 5)] == r.find(STREAM, "phone").missing(1, 5)


def test_the_row_dies_when_floor_passes_it():
    r, ledger = rows(ReceiptRecord(STREAM, "phone", 1, ((1, 3),), ((4, 4),)))
    r.floor_passed(STREAM, "phone", 4)
    assert 1 == len(r)
    r.floor_passed(STREAM, "phone", 5)
    r.floor_passed(STREAM, "phone", 9)
    assert 0 == len(r)
    assert [DropReceipt(STREAM, "phone")] == ledger.take_ops()


def test_a_newer_incarnation_forgets_its_own_rows_only():
    other = STREAM._replace(conversation="carol")
    r, _ = rows(
        ReceiptRecord(STREAM, "phone", 1, ((1, 1),), ()),
        ReceiptRecord(STREAM, "laptop", 1, ((1, 1),), ()),
        ReceiptRecord(other, "phone", 1, ((1, 1),), ()),
    )
    r.forget(PHONE)
    assert r.find(STREAM, "phone") is None
    assert 2 == len(r)
    r.forget(LAPTOP)
    assert r.find(other, "phone") is not None


def test_a_newer_incarnation_looks_at_no_row_but_its_own():
    senders = [STREAM._replace(user=f"a{n}") for n in range(3)]
    r, ledger = rows(*(ReceiptRecord(s, "phone", 1, ((1, 1),), ()) for s in senders))
    r.forget(LAPTOP)
    assert [] == ledger.take_ops()
    r.forget(PHONE)
    assert [DropReceipt(s, "phone") for s in senders] == ledger.take_ops()
    assert 0 == len(r)
