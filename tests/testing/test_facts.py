"""Facts name their messages."""

from tests.testing.facts import ALICE, ONE, RUN, STREAM, frame, msg_r, went_well
from udpim.im.records import OutStreamRecord, PutOutStream
from udpim.model import MsgId
from udpim.testing.facts import SERVER, endpoint_of, left_since, msgids_in, store_epoch_of
from udpim.wire import im_packets as p


def test_host_names_its_endpoint():
    assert endpoint_of("alice/phone") == ALICE


def test_a_transaction_names_the_store_of_a_stream():
    ops = (PutOutStream(OutStreamRecord(2, 7, "bob", 1, 1, 55, 0, (), (), ())),)
    assert [store_epoch_of(number, ops) for number in (1, 2)] == [0, 55]


def test_a_copy_left_when_it_was_sent_and_not_before():
    history = went_well()
    left = next(f.sent for f in history.frames if isinstance(f.packet, p.MsgR))
    assert left_since(history.frames, ONE, left - 1)
    assert not left_since(history.frames, ONE, left), "what the server passes on is none"
    assert not left_since(history.frames, ONE._replace(seq=2), 0)
    assert list(msgids_in(STREAM, [(1, 2)])) == [ONE, ONE._replace(seq=2)]


def test_frame_yields_the_msgids_of_its_ranges_and_of_its_section():
    history = went_well()
    receipt = frame(history, p.AckR(1, STREAM, False, ((1, 1), (3, 4)), RUN), "bob/phone", SERVER)
    assert list(receipt.ranges("delivered")) == [MsgId(STREAM, seq) for seq in (1, 3, 4)]
    assert list(receipt.ranges("void")) == [ONE]
    assert list(receipt.section()) == []
    assert list(frame(history, msg_r(), "alice/phone", SERVER).section()) == [ONE]
