"""The effect executor: effects out, verdicts back, in order."""

from collections import deque

import pytest

from tests.store.samples import BOB, STREAM, message, outbox, queued
from udpim.errors import StoreError
from udpim.im.records import PutMeta, QueueItems, ReadQueue
from udpim.node.effects import Commit, NotifyOffline, ReadQueueItems
from udpim.store.base import Completion
from udpim.store.executor import EffectExecutor
from udpim.store.memory import MemoryStore

OFFLINE = NotifyOffline(endpoint=BOB, stream=STREAM, first=1, last=2)
READ = ReadQueue(BOB, ((STREAM, ((1, 9),)),), 100)


class Node:
    """Hands out effects; notes what comes back and asks for more if told so."""

    def __init__(self, *effects):
        self.effects = deque(effects)
        self.answers = []
        self.then = {}

    def next_effect(self):
        return self.effects.popleft() if self.effects else None

    def on_commit_done(self, token, error, now):
        self.answers.append((token, error, now))
        self.effects.extend(self.then.pop(token, ()))

    def on_queue_read(self, token, items, now):
        self.answers.append((token, items, now))


def put(token, *ops):
    return Commit(token=token, ops=ops or (PutMeta(f"{token}", b""),))


def test_run_submits_in_order_and_complete_brings_the_verdicts():
    node = Node(
        put(1, queued(message(1))),
        ReadQueueItems(token=2, request=READ),
        put(3, outbox()),
        put(4, outbox()),
    )
    executor = EffectExecutor(node, MemoryStore())
    executor.run()
    assert [] == node.answers
    assert executor.complete(1.5)
    assert (1, None, 1.5) == node.answers[0]
    assert (2, (QueueItems(STREAM, 1, 1, (message(1),)),), 1.5) == node.answers[1]
    assert (3, None, 1.5) == node.answers[2]
    token, error, _ = node.answers[3]
    assert (4, StoreError) == (token, type(error))
    assert not executor.complete(2.0)


def test_settle_goes_on_until_the_node_asks_for_nothing():
    node = Node(put(1))
    node.then = {1: [put(2)], 2: [put(3), put(4)]}
    EffectExecutor(node, MemoryStore()).settle(7.0)
    assert [1, 2, 3, 4] == [token for token, _, _ in node.answers]


def test_other_effects_go_to_their_handlers():
    seen = []
    node = Node(OFFLINE, put(1), OFFLINE)
    EffectExecutor(node, MemoryStore(), {NotifyOffline: seen.append}).settle(0.0)
    assert [OFFLINE, OFFLINE] == seen
    assert 1 == len(node.answers)


def test_an_effect_without_a_handler_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        EffectExecutor(Node(OFFLINE), MemoryStore()).run()


class LateStore(MemoryStore):
    """Completes when told to."""

    def __init__(self):
        super().__init__()
        self.late = []

    def completed(self):
        found, self.late = self.late, []
        return found


def test_what_completes_later_is_brought_later():
    node, store = Node(put(1), ReadQueueItems(token=2, request=READ)), LateStore()
    executor = EffectExecutor(node, store)
    executor.settle(1.0)
    assert [] == node.answers
    failed = StoreError("a.db", "the disk fails")
    store.late = [Completion(1, failed, ()), Completion(2, failed, ())]
    executor.settle(2.0)
    assert [(1, failed, 2.0), (2, (), 2.0)] == node.answers
