"""How long a server has been running, ever, and whom it has not seen for too long."""

from tests.im.helpers import ALICE, PHONE, Server
from udpim.im.records import PutMeta
from udpim.node.aging import AGE, TICK_S, Aging


def aging(s, *, retire_after_s=1000.0):
    return Aging(s.router, s.state.server_snapshot().meta, retire_after_s)


def test_a_server_grows_older_while_it_runs_and_keeps_its_age():
    s = Server()
    age = aging(s)
    assert age.next_timeout() is None, "nothing has happened yet"
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
