"""The index of the offline queue (R8)."""

from tests.im.helpers import LAPTOP, PHONE, STREAM
from udpim.config import WINDOW
from udpim.im.offline_queue import OfflineQueue
from udpim.im.records import QueueIndex

OTHER = STREAM._replace(user="zoe")


def queue(*ranges, voids=()):
    return OfflineQueue([QueueIndex(PHONE, STREAM, ranges, voids)])


def taken(q):
    return [(stream, list(rows)) for stream, rows in q.next_rows(PHONE)]


def test_counts_follow_messages_and_voids():
    q = queue((1, 3), voids=((5, 5),))
    assert (4, 0, 4) == (q.count(PHONE), q.count(LAPTOP), q.total())
    q.counted(LAPTOP, 2)
    assert 6 == q.total()


def test_an_empty_stream_is_forgotten():
    q = queue((1, 3))
    queued = q.find(PHONE, STREAM)
    queued.remove(1, 3)
    assert q.find(PHONE, STREAM) is None
    assert q.stream(PHONE, STREAM) is not queued
    assert q.find(LAPTOP, STREAM) is q.find(PHONE, OTHER) is None


def test_a_row_on_its_way_keeps_the_stream_and_is_not_inserted_again():
    q = queue((1, 3), voids=((5, 5),))
    queued = q.find(PHONE, STREAM)
    queued.inserting.add(7, 7)
    assert [(4, 4), (6, 6), (8, 9)] == queued.missing(1, 9)
    queued.remove(1, 9)
    assert not queued.empty()


def test_the_head_only_rises():
    queued = queue((1, 3)).find(PHONE, STREAM)
    queued.raise_head(4, 6)
    queued.raise_head(2, 3)
    assert (4, 6) == (queued.floor, queued.base)


def test_a_pull_takes_a_window_of_the_lowest_rows_and_none_twice():
    q = queue((5, 4 * WINDOW))
    assert [(STREAM, [(5, WINDOW + 4)])] == taken(q)
    queued = q.find(PHONE, STREAM)
    queued.reading.add(5, 20)
    assert [(STREAM, [(21, WINDOW + 4)])] == taken(q)
    queued.reading.add(5, WINDOW + 4)
    assert [] == taken(q)
    q.session_ended(PHONE)
    q.session_ended(LAPTOP)
    assert [(STREAM, [(5, WINDOW + 4)])] == taken(q)


def test_rows_beyond_the_window_are_unread_until_a_pull_has_taken_them():
    q = queue((5, 4 * WINDOW))
    queued = q.find(PHONE, STREAM)
    queued.reading.add(5, WINDOW + 4)
    assert [] == taken(q)
    assert q.has_unread(PHONE)
    queued.reading.add(WINDOW + 5, 4 * WINDOW)
    assert not q.has_unread(PHONE)
    assert not q.has_unread(LAPTOP)


def test_a_stream_without_durable_rows_gives_nothing():
    q = queue()
    q.stream(PHONE, STREAM).inserting.add(1, 1)
    assert [] == taken(q)
