"""Facts name their messages."""

from tests.testing.facts import ALICE, ONE, RUN, STREAM, frame, msg_r, went_well
from udpim.model import MsgId
from udpim.testing.facts import SERVER, endpoint_of
from udpim.wire import im_packets as p


def test_host_names_its_endpoint():
    assert endpoint_of("alice/phone") == ALICE


def test_frame_yields_the_msgids_of_its_ranges_and_of_its_section():
    history = went_well()
    receipt = frame(history, p.AckR(1, STREAM, False, ((1, 1), (3, 4)), RUN), "bob/phone", SERVER)
    assert list(receipt.ranges("delivered")) == [MsgId(STREAM, seq) for seq in (1, 3, 4)]
    assert list(receipt.ranges("void")) == [ONE]
    assert list(receipt.section()) == []
    assert list(frame(history, msg_r(), "alice/phone", SERVER).section()) == [ONE]
