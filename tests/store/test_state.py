"""The dict model of a store; what its operations mean is in test_base.py."""

import pytest

from tests.store import samples
from tests.store.samples import (
    BOB,
    BOB_TABLET,
    STREAM,
    group,
    in_stream,
    inbox,
    membership,
    message,
    outbox,
    queued,
    receipt,
)
from udpim.errors import LocalProtocolError
from udpim.im.records import (
    DeleteQueue,
    DropMember,
    MarkHandled,
    PutGroup,
    PutInStream,
    PutMember,
    PutMeta,
    PutReceipt,
    StampOutbox,
    TrimOutbox,
)
from udpim.store.state import StoreState


def filled():
    state = StoreState()
    state.apply([PutMeta("a", b""), outbox(), inbox(), PutInStream(in_stream())])
    state.apply([queued(message(1)), PutReceipt(receipt())])
    state.apply([PutGroup(group()), PutMember(membership())])
    return state


def both(state):
    return state.client_snapshot(), state.server_snapshot()


def test_a_copy_is_equal_and_independent():
    state = filled()
    before = both(state)
    copy = state.copy()
    assert before == both(copy)
    left = DropMember("#g", "bob", "phone")
    copy.apply([PutMeta("a", b"1"), StampOutbox(1, 1, 1, 9), TrimOutbox(1, 2, 2), outbox(7)])
    copy.apply([MarkHandled(STREAM, ((1, 1),)), PutInStream(in_stream(cum=99)), inbox(seqs=(9,))])
    copy.apply([queued(message(2), floor=9), PutReceipt(receipt(BOB_TABLET))])
    copy.apply([PutGroup(group(epoch=9)), PutMember(membership(device="")), left])
    assert before == both(state)
    state.apply([DeleteQueue(BOB, STREAM, ((1, 1),))])
    assert ((1, 2),) == copy.server_snapshot().queue[0].messages


def test_a_copy_goes_on_like_its_original():
    state = filled()
    copies = [state.copy(), state]
    for each in copies:
        each.apply([outbox(first_seq=4), inbox(samples.OTHER, (1,)), inbox(seqs=(8,))])
    assert both(copies[0]) == both(copies[1])
    with pytest.raises(LocalProtocolError, match="there already"):
        copies[0].apply([outbox(first_seq=6)])


def test_a_row_can_be_inserted_below_others():
    state = StoreState()
    state.apply([outbox(first_seq=5), outbox(first_seq=2)])
    assert [2, 3, 4, 5, 6, 7] == [row.seq for row in state.client_snapshot().outbox]
