"""Words that all floors share."""

import pytest

from udpim.model import (
    FINAL_STATES,
    Endpoint,
    MessageState,
    MsgId,
    RejectCode,
    StreamId,
    is_group,
)

STREAM = StreamId("alice", "phone", 7, "bob")


def test_endpoint_reads_as_user_and_device():
    assert "alice/phone" == str(Endpoint("alice", "phone"))


def test_msgid_reads_as_sender_recipient_and_seq():
    assert "alice/phone→bob#12" == str(MsgId(STREAM, 12))


def test_msgid_tells_incarnations_apart():
    assert MsgId(STREAM, 1) != MsgId(STREAM._replace(incarnation=8), 1)


@pytest.mark.parametrize("code", RejectCode)
def test_reject_codes_below_16_are_transient(code):
    expected = code in (RejectCode.NO_DEVICE, RejectCode.FULL, RejectCode.RATE, RejectCode.BUSY)
    assert expected == code.transient


def test_states_rise_as_the_lattice_says():
    rising = ["PENDING", "ACCEPTED", "STORED", "DELIVERED", "READ"]
    assert rising == [state.name for state in sorted(MessageState)[:5]]


def test_final_states_are_those_that_nothing_follows():
    names = {"DELIVERED", "READ", "VOID", "REJECTED", "EXCUSED"}
    assert names == {state.name for state in FINAL_STATES}


def test_a_group_is_told_from_a_user_by_its_mark():
    assert [True, False, False] == [is_group(name) for name in ("#g", "bob", "b#b")]
