"""How long a server has been running, ever, and whom it has not seen for too long."""

import pytest

from tests.im.helpers import ALICE, PHONE, STREAM, Server, run_of
from udpim.im.records import PutMeta
from udpim.node.aging import AGAIN_S, AGE, TICK_S, TICK_S_MIN, Aging


def aging(s, *, retire_after_s=1000.0, **more):
    return Aging(s.router, s.state.server_snapshot().meta, retire_after_s, **more)


def waiting(count=1, **config):
    """A server whose queue has messages from alice to bob, who is away; and alice."""
    s = Server(**config)
    alice = s.login(ALICE)
    s.logout(s.login(PHONE))
    for seq in range(1, count + 1):
        s.msg(alice, run_of(seq, seq))
    s.commit()
    return s, alice


def queued(s):
    """What waits for bob: messages, and void items."""
    found = s.router.queue.find(PHONE, STREAM)
    return list(found.messages), list(found.voids)


def test_a_server_grows_older_while_it_runs_and_keeps_its_age():
    s = Server()
    age = aging(s)
    assert 0.0 == age.next_timeout(), "a server that nobody calls grows older, too"
    age.tick(500.0)
    assert (0, 500.0 + TICK_S) == (s.router.age_s, age.next_timeout())
    age.tick(503.9)
    assert (3, []) == (s.router.age_s, s.begin())
    age.tick(500.0 + TICK_S)
    assert [PutMeta(AGE, int(TICK_S).to_bytes(8, "big"))] == s.begin()
    s.finish()
    assert 500.0 + 2 * TICK_S == age.next_timeout()
    again = s.restart()
    age = aging(again)
    assert int(TICK_S) == again.router.age_s
    age.tick(7.0)
    age.tick(9.0)
    assert TICK_S + 2 == again.router.age_s, "another clock, the same age"


def test_a_clock_that_begins_elsewhere_retires_nobody():
    s = Server()
    s.logout(s.login(PHONE))
    age = aging(s)
    age.tick(1e12)
    age.tick(1e12 + 1)
    s.commit()
    assert s.router.registry.get(PHONE) is not None


def test_devices_that_are_not_seen_for_too_long_are_retired():
    s = Server()
    s.logout(s.login(PHONE))
    s.login(ALICE)
    age = aging(s)
    age.tick(0.0)
    age.tick(TICK_S)
    s.commit()
    assert s.router.registry.get(PHONE) is not None
    age.tick(2 * TICK_S)
    s.commit()
    assert s.router.registry.get(PHONE) is None
    assert s.router.registry.get(ALICE) is not None, "is online"


# --- What waits in queues ---


def test_messages_that_waited_for_too_long_become_void_items():
    s, _ = waiting(queue_ttl_s=1100)
    age = aging(s, retire_after_s=1e9, queue_ttl_s=1100)
    now = 0.0
    while now < 1100:
        age.tick(now)
        s.commit()
        assert ([(1, 1)], []) == queued(s), "never early"
        now = age.next_timeout()
    age.tick(now + 1100 / 16)
    s.commit()
    assert ([], [(1, 1)]) == queued(s)
    assert 1 == s.router.delivery.expired_messages


def test_a_clock_that_is_set_on_by_a_year_ends_no_message():
    s, _ = waiting(queue_ttl_s=1100)
    age = aging(s, retire_after_s=1e9, queue_ttl_s=1100)
    age.tick(0.0)
    age.tick(TICK_S)
    s.commit()
    year_s = 365 * 86_400.0
    again = s.restart(queue_ttl_s=1100)
    age = aging(again, retire_after_s=1e9, queue_ttl_s=1100)
    for now in (year_s, year_s + 1, year_s + 450):
        age.tick(now)
        again.commit()
        assert ([(1, 1)], []) == queued(again), "it was down"
    age.tick(year_s + 600)
    again.commit()
    assert ([], [(1, 1)]) == queued(again)


def test_many_messages_become_void_items_a_part_at_a_time(monkeypatch):
    monkeypatch.setattr("udpim.im.delivery.EXPIRED_ROWS_MAX", 2)
    s, _ = waiting(5)
    age = aging(s, retire_after_s=1e9)
    age.tick(0.0)
    now = 8 * 86_400.0
    counts = []
    for _ in range(3):
        age.tick(now)
        age.tick(now + AGAIN_S / 2)  # too early
        s.commit()
        counts.append(s.router.delivery.expired_messages)
        now = age.next_timeout()
    assert [2, 4, 5] == counts
    assert 8 * 86_400.0 + TICK_S == now, "nothing is left to look at before"


@pytest.mark.parametrize(
    ("ttl_s", "tick_s"), [(1, TICK_S_MIN), (3200, 100.0), (86_400, TICK_S), (10**9, TICK_S)]
)
def test_a_short_time_to_wait_is_looked_at_more_often(ttl_s, tick_s):
    age = aging(Server(), queue_ttl_s=ttl_s)
    age.tick(5.0)
    assert 5.0 + tick_s == age.next_timeout()
