"""Rows go in and out, and what may be said afterwards (R8, I7)."""

from tests.im.helpers import PHONE, STREAM, run_of
from udpim.config import QUEUE_ENTRY_BYTES, QUEUE_TTL_S, Limits
from udpim.im.held import HeldBytes
from udpim.im.ledger import Ledger
from udpim.im.offline_queue import OfflineQueue
from udpim.im.queue_writer import QueueWriter
from udpim.im.records import DeleteQueue, PutQueue
from udpim.wire.im_codec import encode_section

HEAD = (1, 1)
OTHER = STREAM._replace(incarnation=6)


class Writer:
    def __init__(self, messages_max=10):
        self.said = []
        self.ledger = Ledger()
        self.queue = OfflineQueue(())
        self.writer = QueueWriter(
            self.queue,
            self.ledger,
            lambda *what: self.said.append(what),
            Limits(queue_messages_max=messages_max),
            HeldBytes(),
        )

    def store(self, first, last, head=HEAD):
        section = run_of(first, last)
        self.writer.store(PHONE, STREAM, head, section, [(first, last)])

    def voids(self, *ranges):
        return self.writer.store_voids(PHONE, STREAM, HEAD, ranges)

    def commit(self, *, ok=True):
        ops = self.ledger.take_ops()
        self.ledger.on_committed(ok=ok)
        return [(type(op), [row.seq for row in getattr(op, "rows", ())]) for op in ops]

    @property
    def queued(self):
        return self.queue.stream(PHONE, STREAM)


def test_stored_is_said_after_the_commit():
    w = Writer()
    w.store(1, 2)
    assert [] == w.said
    assert [(PutQueue, [1, 2])] == w.commit()
    assert [(PHONE, STREAM, [(1, 2)])] == w.said
    assert 2 == w.queue.count(PHONE)


def test_a_failed_commit_promises_nothing():
    w = Writer()
    w.store(1, 2)
    w.commit(ok=False)
    assert [] == w.said
    assert [(1, 2)] == w.queued.missing(1, 2)


def test_rows_are_unique_and_an_existing_one_raises_the_head_only():
    w = Writer()
    w.store(3, 4)
    w.store(3, 5, head=(2, 2))
    assert [(PutQueue, [3, 4]), (PutQueue, [5])] == w.commit()
    w.store(3, 5, head=(3, 3))
    assert [] == w.ledger.take_ops()
    assert (3, 3) == (w.queued.floor, w.queued.base)


def test_bytes_come_with_the_commit_and_go_with_void_and_verdict():
    w = Writer()
    rows = encode_section(1, [0] * 3, [bytes(3000), bytes(2000), b"small"])
    w.writer.store(PHONE, STREAM, HEAD, rows, [(1, 3)])
    assert 0 == w.queue.bytes(PHONE)
    w.commit()
    assert 5000 + QUEUE_ENTRY_BYTES == w.queue.bytes(PHONE)
    w.voids((1, 1))
    w.commit()
    assert 2000 + 2 * QUEUE_ENTRY_BYTES == w.queue.bytes(PHONE)
    w.writer.delete(PHONE, STREAM, ((1, 3),))
    assert 0 == w.queue.bytes(PHONE)


def test_a_cancel_turns_rows_into_void_items():
    w = Writer()
    w.store(1, 2)
    w.commit()
    w.queued.reading.add(1, 2)
    assert w.voids((2, 3))
    w.commit()
    assert ([(1, 1)], [(2, 3)]) == (list(w.queued.messages), list(w.queued.voids))
    assert [(1, 1)] == list(w.queued.reading), "a void item is pulled even when the message was"
    assert (PHONE, STREAM, []) == w.said[-1]
    assert w.voids((2, 3))
    assert [] == w.ledger.take_ops()


def test_a_cancel_meets_a_row_on_its_way():
    w = Writer()
    w.store(1, 1)
    w.voids((1, 1))
    w.commit()
    assert ([], [(1, 1)], 1) == (
        list(w.queued.messages),
        list(w.queued.voids),
        w.queue.count(PHONE),
    )


def test_a_cancel_of_everything_there_could_ever_be_stays_within_the_limit():
    w = Writer(messages_max=10)
    w.store(1, 8)
    w.commit()
    assert not w.voids((7, 2**64 - 1))
    w.commit()
    assert [(7, 10)] == list(w.queued.voids)
    assert not w.voids((2**63, 2**63))
    assert [] == w.ledger.take_ops()
    assert w.voids((1, 6)), "what is queued already needs no room"


def test_what_has_waited_for_too_long_becomes_void_items_a_part_at_a_time():
    w = Writer()
    w.store(1, 4)
    w.commit()
    w.store(6, 6)
    w.commit()
    assert 0 == w.writer.expire(10)
    assert [] == w.ledger.take_ops()
    w.queue.age_s = 2 * QUEUE_TTL_S
    assert 3 == w.writer.expire(3)
    assert 2 == w.writer.expire(3), "the others; the first ones are on their way"
    assert [(PutQueue, [1, 2, 3]), (PutQueue, [4, 6])] == w.commit()
    assert ([], [(1, 4), (6, 6)]) == (list(w.queued.messages), list(w.queued.voids))
    assert [(PHONE, STREAM, [])] * 2 == w.said[-2:]
    assert 0 == w.writer.expire(3)


def test_one_look_ends_between_two_streams():
    w = Writer()
    w.store(1, 4)
    w.writer.store(PHONE, OTHER, HEAD, run_of(1, 4), [(1, 4)])
    w.commit()
    w.queue.age_s = 2 * QUEUE_TTL_S
    assert [4, 4, 0] == [w.writer.expire(4) for _ in range(3)]
    w.store(5, 6)
    w.commit()
    w.store(8, 8)
    w.commit()
    w.queue.age_s *= 2
    assert [1, 2, 0] == [w.writer.expire(size) for size in (1, 9, 9)]


def test_a_message_bears_the_age_at_which_it_became_a_row():
    w = Writer()
    w.queue.age_s = 7
    w.store(1, 1)
    w.voids((2, 2))
    assert [7, 0] == [op.rows[0].age_s for op in w.ledger.take_ops()]


def test_a_verdict_deletes_its_rows_and_no_others():
    w = Writer()
    w.writer.delete(PHONE, STREAM, [(1, 1)])
    w.store(1, 3)
    w.voids((5, 5))
    w.commit()
    w.writer.delete(PHONE, STREAM, [(8, 9)])
    assert [] == w.ledger.take_ops()
    w.writer.delete(PHONE, STREAM, [(2, 2), (4, 9)])
    assert [DeleteQueue(PHONE, STREAM, ((2, 2), (5, 5)))] == w.ledger.take_ops()
    assert (2, [(1, 1), (3, 3)]) == (w.queue.count(PHONE), list(w.queued.messages))


def test_a_verdict_that_is_faster_than_the_commit_deletes_the_row_after_it():
    w = Writer()
    w.store(1, 3)
    w.writer.delete(PHONE, STREAM, ((2, 2), (9, 9)))
    assert [(PutQueue, [1, 2, 3])] == w.commit()
    assert [(PHONE, STREAM, [(1, 1), (3, 3)])] == w.said, "nothing is claimed of what has gone"
    assert [DeleteQueue] == [kind for kind, _ in w.commit()]
    assert [(1, 1), (3, 3)] == list(w.queued.messages)


def test_verdicts_for_two_transactions_go_with_their_own():
    w = Writer()
    w.store(1, 1)
    first = w.ledger.take_ops()
    w.store(2, 2)
    w.writer.delete(PHONE, STREAM, ((1, 2),))
    assert 1 == len(first)
    w.ledger.on_committed(ok=True)
    assert [(2, 2)] == list(w.queued.inserting)
    w.commit()
    assert [] == list(w.queued.messages)


def test_a_verdict_for_a_row_whose_commit_fails_is_forgotten():
    w = Writer()
    w.store(1, 1)
    w.writer.delete(PHONE, STREAM, ((1, 1),))
    w.commit(ok=False)
    w.store(1, 1)
    w.commit()
    assert [(1, 1)] == list(w.queued.messages)


def test_floor_deletes_what_nobody_answers_any_more():
    w = Writer()
    w.store(1, 3)
    w.commit()
    w.writer.floor_passed(PHONE, STREAM, 1)
    assert [] == w.ledger.take_ops()
    w.writer.floor_passed(PHONE, STREAM, 3)
    assert [DeleteQueue(PHONE, STREAM, ((1, 2),))] == w.ledger.take_ops()


def test_floor_that_passes_a_row_on_its_way_deletes_it_after_the_commit():
    """Nobody else would: B says nothing below floor."""
    w = Writer()
    w.writer.floor_passed(PHONE, STREAM, 3)
    w.store(1, 3)
    w.writer.floor_passed(PHONE, STREAM, 3)
    assert [(PutQueue, [1, 2, 3])] == w.commit()
    assert [DeleteQueue(PHONE, STREAM, ((1, 2),))] == w.ledger.take_ops()
    assert (1, [(3, 3)]) == (w.queue.count(PHONE), list(w.queued.messages))


def test_a_void_item_below_floor_goes_after_its_commit_too():
    w = Writer()
    w.voids((1, 2))
    w.writer.floor_passed(PHONE, STREAM, 3)
    w.commit()
    assert [DeleteQueue(PHONE, STREAM, ((1, 2),))] == w.ledger.take_ops()
    assert 0 == w.queue.count(PHONE)
