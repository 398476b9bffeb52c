"""The receiver's half of flow control."""

from udpim.hop.credit import CreditGiver


def test_nothing_is_due_before_a_quarter_of_the_window_was_disposed_of():
    credit = CreditGiver(1000)
    assert (credit.allowed, credit.due(0)) == (1000, None)
    credit.received = 249
    assert credit.due(0) is None
    credit.received = 250
    assert (credit.due(0), credit.due(0), credit.allowed) == (1250, None, 1250)


def test_what_the_owner_holds_is_not_given_back():
    credit = CreditGiver(1000)
    credit.received = credit.held = 1000
    assert credit.due(0) is None
    credit.held = 400
    assert credit.due(0) == 1600


def test_limit_never_falls():
    credit = CreditGiver(1000)
    credit.received = 500
    assert credit.due(0) == 1500
    credit.held = 5000
    assert (credit.due(0), credit.allowed) == (None, 1500)


def test_what_is_in_pieces_is_not_given_back():
    credit = CreditGiver(1000)
    credit.received = 1000
    assert credit.due(800) is None
    assert credit.due(0) == 2000
