"""The client's link: every state and every input (PROTOCOL §4.2)."""

from itertools import product

import pytest

from udpim.node.state import TRANSITIONS, LinkInput, LinkState

I, D, L, O, W, C = LinkState  # noqa: E741  # a table of letters reads best
ALLOWED = {
    LinkInput.DIAL: {I: D, W: D},
    LinkInput.CONNECTED: {D: L},
    LinkInput.WELCOME: {L: O},
    LinkInput.LOST: {D: W, L: W, O: W},
    LinkInput.STOP: {I: C, D: C, L: C, O: C, W: C, C: C},
}


@pytest.mark.parametrize(("state", "given"), [*product(LinkState, LinkInput)])
def test_each_state_answers_each_input_or_refuses_it(state, given):
    assert ALLOWED[given].get(state) == TRANSITIONS.get((state, given))


def test_every_state_is_reached_and_only_closed_is_final():
    reached = {LinkState.IDLE, *TRANSITIONS.values()}
    assert set(LinkState) == reached
    leaving = {state for (state, _), to in TRANSITIONS.items() if to is not state}
    assert set(LinkState) - {LinkState.CLOSED} == leaving
