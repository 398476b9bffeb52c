"""Effects are values."""

import dataclasses

import pytest

from udpim.model import Endpoint
from udpim.node.effects import Authenticate, Commit, ReadQueueItems


@pytest.mark.parametrize(
    "effect",
    [
        Commit(token=1, ops=()),
        ReadQueueItems(token=1, request=None),
        Authenticate(token=1, endpoint=Endpoint("u", "d"), secret=b""),
    ],
)
def test_an_effect_is_equal_to_its_copy_and_does_not_change(effect):
    assert effect == dataclasses.replace(effect)
    with pytest.raises(dataclasses.FrozenInstanceError):
        effect.token = 2
