"""The account of a run counts what became of each message, and what was wrong with it."""

from tests.testing.facts import BOB, INBOX, ONE, STREAM, went_well
from udpim.model import MessageState, MsgId
from udpim.testing.sim.account import account

TWO = MsgId(STREAM, 2)


def of(history):
    return {name: count for name, count in account(history).items() if count}


def test_a_message_that_went_well_is_counted_once_everywhere():
    assert {"attempts": 1, "acknowledged": 1, "delivered": 1, "receipted": 1} == of(went_well())


def test_a_message_without_an_end_is_open():
    history = went_well()
    history.on_send(STREAM, 2, [b"two"])
    history.on_accepted(TWO)
    assert (2, 2, 1) == tuple(of(history)[n] for n in ("attempts", "acknowledged", "open"))


def test_what_came_although_its_send_never_returned_is_recovered():
    history = went_well()
    history.on_send(STREAM, 2, [b"two"])
    history.on_accepted(TWO, untold=True)
    history.on_handover(BOB, 1, TWO, b"two")
    assert (2, 2, 2, 1) == tuple(
        of(history)[n] for n in ("attempts", "acknowledged", "delivered", "recovered")
    )


def test_a_refusal_is_negative():
    history = went_well()
    history.on_send(STREAM, 2, [b"two"])
    history.on_shown(TWO, MessageState.REJECTED, 1)
    assert 1 == of(history)["negative"]


def test_what_is_wrong_is_counted():
    history = went_well()
    history.shown.clear()
    assert 1 == of(history)["lost"]
    history = went_well()
    history.commits[INBOX, ONE].append(history.tick())
    assert 1 == of(history)["duplicated"]
    history = went_well()
    history.on_handover(BOB, 1, MsgId(STREAM, 3), b"three")
    history.on_handover(BOB, 1, TWO, b"two")
    assert (1, 2) == (of(history)["misordered"], of(history)["unexpected"])
