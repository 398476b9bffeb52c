"""Real transactions."""

import pytest

pytest.importorskip("apsw", reason="needs the extra sim")

from udpim.im import group_records, records
from udpim.testing.power.recordings import recordings


def test_they_are_of_both_kinds_and_hold_what_an_exchange_needs():
    kinds = {type(op) for one in recordings() for ops in one.transactions for op in ops}
    assert {"client", "server"} == {one.kind for one in recordings()}
    assert kinds >= {
        records.PutOutbox,
        records.TrimOutbox,
        records.PutInbox,
        records.MarkHandled,
        records.PutQueue,
        records.DeleteQueue,
        records.PutReceipt,
        group_records.PutMember,
    }
