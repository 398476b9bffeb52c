"""The index of the offline queue (R8)."""

import random

from tests.im.helpers import LAPTOP, PHONE, STREAM
from udpim.config import QUEUE_ENTRY_BYTES, WINDOW
from udpim.im.offline_queue import GRAINS, OfflineQueue
from udpim.im.records import QueueIndex

OTHER = STREAM._replace(user="zoe")
THIRD = STREAM._replace(user="yan")


def queue(*ranges, voids=()):
    return OfflineQueue([QueueIndex(PHONE, STREAM, ranges, voids)])


def taken(q):
    return [(stream, list(rows)) for stream, rows in q.next_rows(PHONE)]


def test_counts_follow_messages_and_voids():
    q = queue((1, 3), voids=((5, 5),))
    assert (4, 0, 4) == (q.count(PHONE), q.count(LAPTOP), q.total())
    q.inserted(LAPTOP, STREAM, [(1, 2)], ())
    q.inserted(LAPTOP, STREAM, [(2, 4)], ())
    assert (4, 8) == (q.count(LAPTOP), q.total())
    q.voided(LAPTOP, STREAM, [(4, 6)])
    assert 6 == q.count(LAPTOP), "a void item in place of a message is one row"
    q.remove(LAPTOP, STREAM, [(1, 2), (6, 6)])
    assert (3, 7) == (q.count(LAPTOP), q.total())


def test_counts_add_up_however_a_queue_got_its_holes(seed):
    rng = random.Random(seed)
    q = queue()
    for _ in range(300):
        first = rng.randint(1, 60)
        ranges = [(first, first + rng.randint(0, 9))]
        queued = q.stream(PHONE, STREAM)
        step = rng.randrange(3)
        if step == 0:
            q.inserted(PHONE, STREAM, queued.missing(*ranges[0]), ())
        elif step == 1:
            q.voided(PHONE, STREAM, ranges)
        else:
            q.remove(PHONE, STREAM, queued.present(ranges))
        queued = q.stream(PHONE, STREAM)
        assert queued.messages.count() + queued.voids.count() == q.count(PHONE)


def test_an_empty_stream_is_forgotten():
    q = queue((1, 3))
    queued = q.find(PHONE, STREAM)
    q.taken(PHONE, STREAM, (1, 2))
    q.remove(PHONE, STREAM, [(1, 3)])
    assert q.find(PHONE, STREAM) is None
    assert q.stream(PHONE, STREAM) is not queued
    assert q.find(PHONE, STREAM) is None, "one that never got a row is, when somebody looks"
    assert q.find(LAPTOP, STREAM) is q.find(PHONE, OTHER) is None


def test_a_stream_is_held_while_anybody_has_a_queue_of_it():
    q = queue((1, 2))
    q.inserted(LAPTOP, STREAM, [(1, 1)], ())
    assert (True, False) == (q.holds(STREAM), q.holds(OTHER))
    q.remove(PHONE, STREAM, [(1, 2)])
    assert q.holds(STREAM)
    q.remove(LAPTOP, STREAM, [(1, 1)])
    assert not q.holds(STREAM)


def test_a_row_on_its_way_keeps_the_stream_and_is_not_inserted_again():
    q = queue((1, 3), voids=((5, 5),))
    queued = q.find(PHONE, STREAM)
    queued.inserting.add(7, 7)
    assert [(4, 4), (6, 6), (8, 9)] == queued.missing(1, 9)
    q.remove(PHONE, STREAM, queued.present([(1, 9)]))
    assert queued is q.find(PHONE, STREAM)
    assert 0 == q.count(PHONE)


def test_the_head_only_rises():
    queued = queue((1, 3)).find(PHONE, STREAM)
    queued.raise_head(4, 6)
    queued.raise_head(2, 3)
    assert (4, 6) == (queued.floor, queued.base)


def test_a_pull_takes_a_window_of_the_lowest_rows_and_none_twice():
    q = queue((5, 4 * WINDOW))
    assert [(STREAM, [(5, WINDOW + 4)])] == taken(q)
    q.taken(PHONE, STREAM, range(5, 21))
    assert [(STREAM, [(21, WINDOW + 4)])] == taken(q)
    q.taken(PHONE, STREAM, range(5, WINDOW + 5))
    assert [] == taken(q)
    q.session_ended(PHONE)
    q.session_ended(LAPTOP)
    assert [(STREAM, [(5, WINDOW + 4)])] == taken(q)


def test_bytes_are_counted_of_large_rows_and_small_ones_count_as_an_entry_each():
    index = QueueIndex(PHONE, STREAM, ((1, 10),), ((12, 12),), ((3, 5000), (7, 1025)))
    q = OfflineQueue([index])
    large = 5000 + 1025 - 2 * QUEUE_ENTRY_BYTES
    assert (11 * QUEUE_ENTRY_BYTES + large, 0) == (q.bytes(PHONE), q.bytes(LAPTOP))
    q.inserted(PHONE, STREAM, [(11, 11), (13, 13)], [(11, 1024), (13, 2024)])
    assert 13 * QUEUE_ENTRY_BYTES + large + 1000 == q.bytes(PHONE)
    q.remove(PHONE, STREAM, [(1, 3), (12, 13)])
    assert 8 * QUEUE_ENTRY_BYTES + 1 == q.bytes(PHONE)
    q.voided(PHONE, STREAM, [(7, 7)])
    q.voided(PHONE, STREAM, [(7, 7)])
    assert 8 * QUEUE_ENTRY_BYTES == q.bytes(PHONE)


def expired(q, age_s):
    q.age_s = age_s
    return [(endpoint, stream, rows) for endpoint, stream, rows in q.expired()]


def test_messages_are_too_old_once_they_have_waited_for_their_time_and_not_before():
    q = OfflineQueue([], ttl_s=640)
    q.age_s = 100
    q.inserted(PHONE, STREAM, [(1, 2)], [])
    q.age_s = 400
    q.inserted(PHONE, STREAM, [(2, 4)], [])
    q.inserted(LAPTOP, OTHER, [(7, 7)], [])
    assert [] == expired(q, 0)
    assert [] == expired(q, 740)
    assert [(PHONE, STREAM, [(1, 2)])] == expired(q, 760), "to a grain of a thirty-second"
    q.voided(PHONE, STREAM, [(1, 1)])
    q.remove(PHONE, STREAM, [(2, 2)])
    assert [] == expired(q, 760)
    q.stream(PHONE, STREAM).inserting.add(4, 4)
    both = [(PHONE, STREAM, [(3, 3)]), (LAPTOP, OTHER, [(7, 7)])]
    assert both == expired(q, 10**6), "what is on its way to be void is left alone"
    q.stream(PHONE, STREAM).inserting.add(3, 3)
    assert both[1:] == expired(q, 10**6)


def test_a_message_that_was_there_keeps_its_age():
    q = OfflineQueue([], ttl_s=640)
    q.inserted(PHONE, STREAM, [(1, 2)], [])
    q.age_s = 600
    q.inserted(PHONE, STREAM, [(1, 3)], [])
    assert [(PHONE, STREAM, [(1, 2)])] == expired(q, 660)


def test_a_restart_knows_the_ages():
    index = QueueIndex(PHONE, STREAM, ((1, 3),), ((4, 4),), (), ((5, 2, 2), (90, 1, 1), (90, 3, 3)))
    q = OfflineQueue([index], ttl_s=64)
    assert [(PHONE, STREAM, [(2, 2)])] == expired(q, 90)
    assert [(PHONE, STREAM, [(1, 3)])] == expired(q, 1000), "void items live on"


def test_a_stream_remembers_few_ages_however_long_it_is_used():
    q = OfflineQueue([], ttl_s=3200)
    for q.age_s in range(3200):
        q.inserted(PHONE, STREAM, [(q.age_s + 1, q.age_s + 1)], [])
    assert GRAINS == len(q.stream(PHONE, STREAM).ages)
    q.remove(PHONE, STREAM, [(1, 3199)])
    assert 1 == len(q.stream(PHONE, STREAM).ages)


def test_a_stream_without_durable_rows_gives_nothing():
    q = queue()
    q.stream(PHONE, STREAM).inserting.add(1, 1)
    assert [] == taken(q)


def test_whose_turn_is_over_comes_last():
    q = OfflineQueue([QueueIndex(PHONE, s, ((1, 1),), ()) for s in (STREAM, OTHER, THIRD)])
    q.turn_over(PHONE, [STREAM, OTHER])
    assert [THIRD, STREAM, OTHER] == [stream for stream, _ in taken(q)]
    q.turn_over(LAPTOP, [])
