"""Promises wait for their transaction, whatever comes in between (I7)."""

from udpim.im.ledger import Ledger
from udpim.im.records import PutMeta


def test_a_promise_is_called_with_the_verdict_on_its_own_transaction():
    ledger, said = Ledger(), []
    ledger.put(PutMeta("a", b"1"), lambda ok: said.append(("a", ok)))
    assert [PutMeta("a", b"1")] == ledger.take_ops()
    ledger.put(PutMeta("b", b"2"), lambda ok: said.append(("b", ok)))
    ledger.put(PutMeta("c", b"3"))
    ledger.take_ops()
    assert [] == said
    ledger.on_committed(ok=True)
    assert [("a", True)] == said
    ledger.on_committed(ok=False)
    assert [("a", True), ("b", False)] == said


def test_a_turn_without_writes_needs_no_transaction():
    assert [] == Ledger().take_ops()
