"""The driver: one pass for everything of a turn, one timer, and no silent end."""

import asyncio
from collections import deque

import pytest

from tests.runtime.helpers import live, turns, until
from udpim.errors import LocalProtocolError, StoreError
from udpim.node.effects import Authenticate, Commit, ReadQueueItems
from udpim.runtime import driver as module
from udpim.runtime.driver import Driver
from udpim.store.base import Completion
from udpim.store.memory import MemoryStore

ADDRESS = ("127.0.0.1", 9)


class Node:
    """Does what it is told, and remembers what was done to it."""

    def __init__(self):
        self.log = []
        self.effects, self.events, self.datagrams = deque(), deque(), deque()
        self.timeout = None

    def receive_datagrams(self, burst, now):
        self.log.append(("burst", burst))

    def handle_timeout(self, now):
        self.log.append("timeout")
        self.timeout = None

    def next_effect(self):
        return self.effects.popleft() if self.effects else None

    def on_commit_done(self, token, error, now):
        self.log.append(("committed", token, error))

    def on_queue_read(self, token, items, now):
        self.log.append(("read", token, items))

    def datagrams_to_send(self, now):
        self.log.append("pass")
        return self.datagrams.popleft() if self.datagrams else []

    def next_event(self):
        return self.events.popleft() if self.events else None

    def next_timeout(self):
        return self.timeout


class Endpoint:
    def __init__(self):
        self.sent = []

    def send(self, datagrams):
        self.sent += datagrams


class World:
    def __init__(self, store=None, **options):
        self.node, self.endpoint = Node(), Endpoint()
        self.events, self.failures = [], []
        self.driver = Driver(
            self.node,
            store or MemoryStore(),
            on_event=self.events.append,
            on_failure=self.failures.append,
            **options,
        )

    async def attached(self):
        self.driver.attach(self.endpoint)
        await turns(5)
        self.node.log.clear()
        return self


@live
async def test_many_commands_in_one_turn_make_one_pass():
    world = await World().attached()
    for _ in range(10):
        world.driver.wake()
    world.driver.receive([(b"x", ADDRESS)])
    await turns(5)
    assert [("burst", [(b"x", ADDRESS)]), "pass"] == world.node.log


@live
async def test_effects_are_carried_out_before_datagrams_leave_and_events_come_last():
    asked = []
    world = await World(handlers={Authenticate: asked.append}).attached()
    ask = Authenticate(token=2, endpoint=("alice", "phone"), secret=b"")
    world.node.effects.extend([Commit(token=1, ops=()), ask])
    world.node.datagrams.append([(b"x", ADDRESS)])
    world.node.events.append("event")
    world.driver.wake()
    assert 0 == world.driver.commits_in_progress
    await turns(5)
    assert [("committed", 1, None), "pass", "pass"] == world.node.log
    assert [ask] == asked
    assert [(b"x", ADDRESS)] == world.endpoint.sent
    assert ["event"] == world.events


@live
async def test_before_it_has_an_endpoint_it_commits_but_sends_nothing():
    world = World()
    world.node.effects.append(Commit(token=1, ops=()))
    world.driver.wake()
    await turns(5)
    assert [("committed", 1, None)] == world.node.log


class SlowStore(MemoryStore):
    """Completes when told to, and wakes its owner then."""

    def __init__(self):
        super().__init__()
        self.ready, self.wake = [], None

    def read_queue(self, token, request):
        pass

    def completed(self):
        done, self.ready = self.ready, []
        return done

    def set_wake(self, wake):
        self.wake = wake


@live
async def test_a_commit_is_in_progress_until_its_verdict_and_a_read_until_its_answer():
    store = SlowStore()
    world = await World(store).attached()
    world.node.effects.extend([Commit(token=1, ops=()), ReadQueueItems(token=2, request=None)])
    world.driver.wake()
    await turns(5)
    assert 1 == world.driver.commits_in_progress
    error = StoreError("a.db", "no")
    store.ready = [Completion(1, error, ()), Completion(2, None, ())]
    await asyncio.to_thread(store.wake)
    await turns(5)
    assert [("committed", 1, error), ("read", 2, ())] == [
        entry for entry in world.node.log if entry != "pass"
    ]
    assert 0 == world.driver.commits_in_progress


@live
async def test_a_flood_leaves_the_rest_of_the_loop_its_turn():
    world = await World().attached()
    count = 3 * module.PASSES_MAX
    world.node.datagrams.extend([[(b"x", ADDRESS)]] * count)
    world.driver.wake()
    await asyncio.sleep(0)
    assert module.PASSES_MAX == len(world.endpoint.sent)
    await turns(5)
    assert count == len(world.endpoint.sent)


@live
async def test_the_timer_fires_when_it_is_due_and_an_early_one_is_kept():
    world = await World().attached()
    loop = asyncio.get_running_loop()
    world.node.timeout = loop.time() + 0.01
    world.driver.wake()
    await turns(5)
    early = world.driver._timer
    world.node.timeout = later = loop.time() + 0.03
    world.driver.wake()
    await turns(5)
    assert early is world.driver._timer
    await until(lambda: "timeout" in world.node.log)
    assert later <= loop.time()
    world.node.timeout = loop.time() + 3600
    world.driver.wake()
    await turns(5)
    late = world.driver._timer
    world.node.timeout = loop.time() + 1800
    world.driver.wake()
    await turns(5)
    assert late.cancelled()
    world.driver.stop()
    assert world.driver._timer.cancelled()


@live
async def test_what_is_due_already_is_done_at_once():
    world = await World().attached()
    world.node.timeout = 0.0
    world.driver.wake()
    await until(lambda: "timeout" in world.node.log)


def bug(*args):
    raise ZeroDivisionError


@pytest.mark.parametrize("where", ["receive_datagrams", "datagrams_to_send", "handle_timeout"])
@live
async def test_a_bug_is_logged_and_told_once_and_the_node_left_alone(where, caplog):
    world = await World().attached()
    setattr(world.node, where, bug)
    world.node.timeout = 0.0
    watch = asyncio.create_task(world.driver.wait_until(lambda: False, 20.0))
    world.driver.wake()
    world.driver.receive([])
    await until(lambda: world.failures)
    assert not await watch
    assert world.driver.stopped
    assert [ZeroDivisionError] == [type(error) for error in world.failures]
    assert "ZeroDivisionError" in caplog.text
    world.node.log.clear()
    world.driver.receive([])
    world.driver.wake()
    world.driver.fail(LocalProtocolError("another one"))
    await turns(5)
    assert [] == world.node.log
    assert 1 == len(world.failures)


@live
async def test_an_event_that_stops_the_driver_is_the_last():
    world = await World().attached()
    world.driver._on_event = lambda event: world.driver.stop()
    world.node.events.extend(["first", "second"])
    world.driver.wake()
    await turns(5)
    assert ["second"] == list(world.node.events)


@live
async def test_waiting_for_a_condition_ends_with_it_with_time_or_with_the_driver():
    world = await World().attached()
    assert await world.driver.wait_until(lambda: True, 20.0)
    assert not await world.driver.wait_until(lambda: False, 0.01)
    assert [] == world.driver._watches
    flag = []
    waiting = asyncio.create_task(world.driver.wait_until(lambda: bool(flag), 20.0))
    await turns(5)
    flag.append(1)
    world.driver.wake()
    assert await waiting
    waiting = asyncio.create_task(world.driver.wait_until(lambda: False, 20.0))
    await turns(5)
    world.driver.stop()
    assert not await waiting
    assert not await world.driver.wait_until(lambda: True, 20.0)
