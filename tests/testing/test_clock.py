"""Virtual time runs callbacks in order."""

from udpim.testing.clock import VirtualClock


def test_callbacks_run_in_order_of_time_and_then_of_asking():
    clock, seen = VirtualClock(), []
    for when, name in ((2.0, "c"), (1.0, "a"), (1.0, "b")):
        clock.call_at(when, lambda name=name: seen.append((clock.now, name)))
    assert clock.next_at() == 1.0
    clock.run_until(3.0)
    assert seen == [(1.0, "a"), (1.0, "b"), (2.0, "c")]
    assert clock.now == 3.0
    assert clock.next_at() is None


def test_what_is_late_happens_now():
    clock, seen = VirtualClock(), []
    clock.run_until(5.0)
    clock.call_at(1.0, lambda: seen.append(clock.now))
    clock.call_later(0.5, lambda: seen.append(clock.now))
    clock.step()
    clock.step()
    assert seen == [5.0, 5.5]


def test_run_until_leaves_what_is_not_due():
    clock = VirtualClock()
    clock.call_at(2.0, lambda: None)
    clock.run_until(1.0)
    assert clock.next_at() == 2.0
