"""Events are values."""

import dataclasses

import pytest

from udpim.model import Endpoint
from udpim.node.events import LinkChanged, ReceiptsChanged, SessionChanged
from udpim.node.state import LinkState


def test_a_link_that_changed_was_not_refused_unless_it_says_so():
    event = LinkChanged(state=LinkState.ONLINE, code=0, reason="")
    assert not event.login_refused


@pytest.mark.parametrize(
    "event",
    [ReceiptsChanged(changes=[]), SessionChanged(endpoint=Endpoint("u", "d"), online=True)],
)
def test_an_event_is_equal_to_its_copy_and_does_not_change(event):
    assert event == dataclasses.replace(event)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, dataclasses.fields(event)[0].name, None)
