"""What the server's memory holds of each sender."""

import pytest

from tests.im.helpers import ALICE, STREAM
from udpim.im.held import HeldBytes
from udpim.model import Endpoint

OTHER = STREAM._replace(conversation="carol")


def test_streams_of_one_endpoint_add_up():
    held = HeldBytes()
    held.add(STREAM, 10)
    held.add(OTHER, 5)
    held.add(STREAM._replace(user="carol"), 7)
    assert (15, 22) == (held.of(ALICE), held.total())
    held.add(STREAM, -10)
    assert 5 == held.of(ALICE)


def test_endpoints_are_told_once_when_their_bytes_changed():
    held = HeldBytes()
    held.add(STREAM, 10)
    held.add(STREAM, -10)
    assert [ALICE] == held.take_changed()
    assert [] == held.take_changed()
    assert 0 == held.of(ALICE) == held.of(Endpoint("nobody", "x"))


def test_nothing_leaves_that_had_not_come():
    with pytest.raises(AssertionError):
        HeldBytes().add(STREAM, -1)
