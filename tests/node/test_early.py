"""What waits for the answer to a login: in order, within limits, and forgotten with its link."""

import pytest

from tests.im.helpers import Sender
from udpim.config import EARLY_BYTES_MAX, EARLY_BYTES_TOTAL_MAX
from udpim.node.early import MESSAGE_BYTES, Early, fits_early
from udpim.wire.im_packets import Nudge


def test_packets_come_back_in_their_order_and_once():
    early = Early()
    first, second = Nudge(), Nudge()
    assert early.keep("a", [first, None], 10)
    assert early.keep("b", [first], 5)
    assert early.keep("a", [second], 1)
    assert 16 == early.bytes
    assert [first, None, second] == early.take("a")
    assert ([], 5) == (early.take("a"), early.bytes)


def test_one_connection_has_its_share_and_all_have_theirs():
    early = Early()
    assert early.keep("a", [None], EARLY_BYTES_MAX)
    assert not early.keep("a", [None], 1)
    count = EARLY_BYTES_TOTAL_MAX // EARLY_BYTES_MAX
    assert all(early.keep(n, [None], EARLY_BYTES_MAX) for n in range(count - 1))
    assert not early.keep("last", [None], 1)
    early.take("a")
    assert early.keep("last", [None], 1)


@pytest.mark.parametrize(("size", "fits"), [(0, True), (1, False)])
def test_what_a_client_may_send_early_fits_what_the_server_keeps(size, fits):
    sender = Sender()
    sender.send(bytes(EARLY_BYTES_MAX - 2 * MESSAGE_BYTES + size), b"")
    sender.commit()
    assert fits is fits_early(sender.outbox)
