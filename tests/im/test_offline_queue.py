"""The index of the offline queue (R8)."""

from tests.im.helpers import LAPTOP, PHONE, STREAM
from udpim.config import QUEUE_ENTRY_BYTES, WINDOW
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


def test_bytes_are_counted_of_large_rows_and_small_ones_count_as_an_entry_each():
    index = QueueIndex(PHONE, STREAM, ((1, 10),), ((12, 12),), ((3, 5000), (7, 1025)))
    q = OfflineQueue([index])
    queued = q.find(PHONE, STREAM)
    large = 5000 + 1025 - 2 * QUEUE_ENTRY_BYTES
    assert (11 * QUEUE_ENTRY_BYTES + large, 0) == (q.bytes(PHONE), q.bytes(LAPTOP))
    q.grown(PHONE, queued, [(11, 1024), (13, 2024)])
    assert 11 * QUEUE_ENTRY_BYTES + large + 1000 == q.bytes(PHONE)
    q.shrunk(PHONE, queued, ((1, 3), (12, 20)))
    assert 11 * QUEUE_ENTRY_BYTES + 1 == q.bytes(PHONE)
    q.shrunk(PHONE, queued, ((7, 7),))
    q.shrunk(PHONE, queued, ((7, 7),))
    assert 11 * QUEUE_ENTRY_BYTES == q.bytes(PHONE)


def test_a_stream_without_durable_rows_gives_nothing():
    q = queue()
    q.stream(PHONE, STREAM).inserting.add(1, 1)
    assert [] == taken(q)
