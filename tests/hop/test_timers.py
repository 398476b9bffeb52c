"""Named timers and their one deadline."""

from udpim.hop.timers import Timer, TimerTable


def test_nothing_set_is_no_deadline():
    assert TimerTable().next() is None


def test_the_earliest_timer_is_the_deadline():
    timers = TimerTable()
    timers.set(Timer.IDLE, 30.0)
    timers.set(Timer.ACK, 1.0)
    assert timers.next() == 1.0
    timers.set(Timer.ACK, None)
    assert timers.next() == 30.0
    timers.clear_all()
    assert timers.next() is None


def test_a_timer_is_due_from_its_deadline_on():
    timers = TimerTable()
    timers.set(Timer.PTO, 2.0)
    assert [timers.due(Timer.PTO, t) for t in (1.9, 2.0, 2.1)] == [False, True, True]
    assert timers.is_set(Timer.PTO)
    assert not timers.is_set(Timer.LOSS)
    assert not timers.due(Timer.LOSS, 1e9)
