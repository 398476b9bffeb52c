"""The server's connections and the one timer that they share."""

import pytest

from udpim.node.link import SPARE, Link, Links, LinkTimers


class Clock:
    """A connection's deadline, as far as the timers look at it."""

    def __init__(self, when):
        self.when = when

    def next_timeout(self):
        return self.when


class Named:
    """A connection's ids, as far as the table looks at them."""

    def __init__(self, *cids):
        self.local_cids = cids


def link(when, login_by=99.0):
    return Link(Clock(when), login_by)


def test_a_link_is_found_by_all_ids_that_its_connection_has_now():
    links = Links()
    one, other = Link(Named(b"a", b"b"), 9.0), Link(Named(b"c"), 9.0)
    links.add(one)
    links.add(other)
    assert [one, one, other, None] == [links.get(cid) for cid in (b"a", b"b", b"c", b"d")]
    one.connection.local_cids = (b"b", b"d")
    assert (b"a" in links, b"d" in links) == (True, False), "as of the last look"
    links.follow(one)
    links.follow(other)
    assert [None, one, other, one] == [links.get(cid) for cid in (b"a", b"b", b"c", b"d")]
    assert (2, [one, other]) == (len(links), list(links))


def test_a_link_that_is_gone_leaves_no_id():
    links = Links()
    one = Link(Named(b"a", b"b"), 9.0)
    links.add(one)
    links.remove(one)
    assert not any(cid in links for cid in (b"a", b"b"))
    assert (0, []) == (len(links), list(links))


def test_the_earlier_of_connection_and_login_counts():
    timers = LinkTimers()
    timers.arm(link(5.0, 3.0))
    assert 3.0 == timers.next_timeout()
    only = link(None, 2.0)
    timers.arm(only)
    assert 2.0 == timers.next_timeout()


def test_links_come_due_in_order_and_once():
    timers = LinkTimers()
    late, early = link(5.0), link(4.0)
    timers.arm(late), timers.arm(early)
    assert [] == timers.due(3.9)
    assert [early, late] == timers.due(5.0)
    assert [] == timers.due(99.0)
    assert timers.next_timeout() is None


def test_an_outdated_deadline_wakes_nobody():
    timers, it = LinkTimers(), link(5.0)
    timers.arm(it)
    it.connection.when = 7.0
    timers.arm(it)
    timers.arm(it)
    assert [] == timers.due(6.0)
    assert [it] == timers.due(7.0)


def test_a_link_that_is_gone_wakes_nobody():
    timers, it = LinkTimers(), link(5.0)
    timers.arm(it)
    timers.disarm(it)
    assert timers.next_timeout() is None


@pytest.mark.parametrize("present", [1, 500])
def test_the_heap_grows_with_the_links_and_not_with_time(present):
    timers = LinkTimers()
    links = [link(1000.0 + n, 1e9) for n in range(present)]
    for turn in range(20):
        for it in links:
            it.connection.when += 1.0
            timers.arm(it)
        assert len(timers) <= 2 * present + SPARE + 1, turn
    assert set(links) == set(timers.due(1e6))
