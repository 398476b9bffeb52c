"""Receipts that wait for a sender (R3)."""

from tests.im.helpers import LAPTOP, PHONE, STREAM
from udpim.im.ledger import Ledger
from udpim.im.receipt_rows import ReceiptRows
from udpim.im.records import DropReceipt, PutReceipt, ReceiptRecord
from udpim.model import Endpoint


def rows(*records):
    ledger = Ledger()
    return ReceiptRows(records, ledger), ledger


def keep(r, incarnation=1, delivered=(), void=(), device=PHONE):
    r.keep(STREAM, device, incarnation, delivered, void, after=lambda ok: None)


def test_verdicts_are_merged_into_one_row():
    r, ledger = rows(ReceiptRecord(STREAM, PHONE, 1, ((1, 2),), ()))
    keep(r, delivered=((3, 3),), void=((5, 5),))
    record = ReceiptRecord(STREAM, PHONE, 1, ((1, 3),), ((5, 5),))
    assert [PutReceipt(record)] == ledger.take_ops()
    assert [(4, 4), (6, 6)] == r.find(STREAM, PHONE).missing(1, 6)
    assert r.find(STREAM, LAPTOP) is None


def test_verdicts_of_another_incarnation_make_way():
    r, _ = rows()
    keep(r, 1, ((1, 5),))
    keep(r, 2, ((3, 3),))
    assert [(1, 2), (4, 5)] == r.find(STREAM, PHONE).missing(1, 5)


def test_the_row_dies_when_floor_passes_it():
    r, ledger = rows(ReceiptRecord(STREAM, PHONE, 1, ((1, 3),), ((4, 4),)))
    r.floor_passed(STREAM, PHONE, 4)
    assert 1 == len(r)
    r.floor_passed(STREAM, PHONE, 5)
    r.floor_passed(STREAM, PHONE, 9)
    assert 0 == len(r)
    assert [DropReceipt(STREAM, PHONE)] == ledger.take_ops()


def test_a_newer_incarnation_forgets_its_own_rows_only():
    other, carols = STREAM._replace(conversation="carol"), Endpoint("carol", "phone")
    r, _ = rows(
        ReceiptRecord(STREAM, PHONE, 1, ((1, 1),), ()),
        ReceiptRecord(STREAM, LAPTOP, 1, ((1, 1),), ()),
        ReceiptRecord(other, carols, 1, ((1, 1),), ()),
    )
    r.forget(PHONE)
    assert r.find(STREAM, PHONE) is None
    assert 2 == len(r)
    r.forget(LAPTOP)
    assert r.find(other, carols) is not None


def test_a_newer_incarnation_looks_at_no_row_but_its_own():
    senders = [STREAM._replace(user=f"a{n}") for n in range(3)]
    r, ledger = rows(*(ReceiptRecord(s, PHONE, 1, ((1, 1),), ()) for s in senders))
    r.forget(LAPTOP)
    assert [] == ledger.take_ops()
    r.forget(PHONE)
    assert [DropReceipt(s, PHONE) for s in senders] == ledger.take_ops()
    assert 0 == len(r)
