"""A virtual process: a production node under the production effect executor, without sockets.

It can crash and start again from what its disk holds, be paused, and have clocks that jump. Its
inputs are bursts of datagrams, its timer, and its store's wake; after each it drains the node as
the contract of the nodes says (`udpim.node`). Which node it is, `udpim.testing.nodes` decides.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypedDict

from udpim.im.records import Op, ReadQueue
from udpim.model import Address
from udpim.node import events as ev
from udpim.node.client import ClientNode
from udpim.node.server import ServerNode
from udpim.store.base import Completion
from udpim.store.executor import EffectExecutor
from udpim.testing.clock import VirtualClock
from udpim.testing.history import History
from udpim.testing.network import Receive
from udpim.testing.storage import Disk, VirtualStore

SOCKET_BUFFER_DATAGRAMS = 512
"""What waits for a paused process; more is lost, as in a socket's buffer."""
BURST_DATAGRAMS = 8
"""So many at once, and there may be more."""
SPINS_MAX = 1000
"""Timers of one node in one instant; more is a node that asks for nothing but to be asked."""


class Backup(NamedTuple):
    """A copy of a disk."""

    disk: Disk
    taken: int
    """The history's order when it was made."""


class Network(Protocol):
    """What a process has for a network: the world's, or a part of one."""

    clock: VirtualClock

    def bind(self, address: Address, receive: Receive) -> None:
        """See `VirtualNetwork.bind`."""

    def unbind(self, address: Address) -> None:
        """See `VirtualNetwork.unbind`."""

    def send(self, source: Address, destination: Address, data: bytes) -> None:
        """See `VirtualNetwork.send`."""


class Surroundings(TypedDict):
    """What every process of a world shares, and its store."""

    seed: object
    network: Network
    history: History
    store: VirtualStore


class _Mortal:
    """A store as one life of a process knows it: what it asks for after its death, nobody hears.

    A process may die in the middle of an effect, and its executor would go on with the next.
    """

    def __init__(self, process: VirtualProcess) -> None:
        self._process = process
        self._store = process.store
        self._life = process.life

    def submit(self, token: int, ops: Sequence[Op]) -> None:
        if self._alive():
            self._store.submit(token, ops)

    def read_queue(self, token: int, request: ReadQueue) -> None:
        if self._alive():
            self._store.read_queue(token, request)

    def completed(self) -> list[Completion]:
        return self._store.completed() if self._alive() else []

    def _alive(self) -> bool:
        process = self._process
        return process.life == self._life and process.up


class VirtualProcess:
    """What a client's and a server's process have in common.

    Attributes:
        host: ``server``, or ``user/device``.
        address: Where datagrams reach it now.
        store: Its disk or memory.
        life: Number of the present process, from 1.
        clock_skew_s: What its monotonic clock is ahead of the world's.
        wall_skew_ms: What its wall clock is ahead of the world's.
        errors: What its store refused.
    """

    def __init__(
        self,
        host: str,
        address: Address,
        surroundings: Surroundings,
    ) -> None:
        """Describe a process; `start` runs it."""
        self.host = host
        self.address = address
        self.store = store = surroundings["store"]
        self.life = 0
        self.history = history = surroundings["history"]
        self.clock_skew_s = 1e5 * random.Random(f"{surroundings['seed']}:{host}:skew").random()
        self.wall_skew_ms = 0
        self.errors: list[Exception] = []
        self._seed = surroundings["seed"]
        self._network = surroundings["network"]
        self._clock = self._network.clock
        self._node: ClientNode | ServerNode | None = None
        self._executor: EffectExecutor | None = None
        self._buffer: list[tuple[bytes, Address]] = []
        self._paused = False
        self._draining = False
        self._again = False
        self._armed: float | None = None
        self._spins = 0
        self._spun_at = -1.0
        self._timer_time = float("-inf")
        store.observe = lambda ops: history.on_durable(host, ops)

    # --- Life and death ---

    @property
    def up(self) -> bool:
        """Whether the process runs; a paused one does too."""
        return self._node is not None

    @property
    def now(self) -> float:
        """Its monotonic clock."""
        # The sum may fall an ulp short of the very deadline that the clock was set to.
        now, timer_time = self._clock.now + self.clock_skew_s, self._timer_time
        return now if now > timer_time else timer_time

    def start(self) -> None:
        """Run a new process on what the disk holds."""
        assert self._node is None, f"{self.host} is up already"
        self.life += 1
        random_bytes = random.Random(f"{self._seed}:{self.host}:{self.life}").randbytes
        self._node = self._make(random_bytes)
        self._executor = EffectExecutor(self._node, _Mortal(self), self._mortal_handlers())
        self.store.set_wake(self._turn)
        self._network.bind(self.address, self._arrive)
        self._started()
        self._turn()

    def crash(self, *, landing: int = 0) -> None:
        """Die at once; see `VirtualStore.crash`."""
        assert self._node is not None, f"{self.host} is down already"
        self._node = self._executor = None
        self._armed = None
        self._buffer.clear()
        self._paused = False
        self._network.unbind(self.address)
        self.store.crash(landing=landing)
        self.history.on_died(self.host)
        if not self.store.durable:
            self.history.on_disk_lost(self.host)

    def restart(self, *, landing: int = 0) -> None:
        """Crash, if it is up, and start again."""
        if self.up:
            self.crash(landing=landing)
        self.start()

    def lose_disk(self) -> None:
        """Crash, if it is up, and start with an empty disk."""
        if self.up:
            self.crash()
        self.store.lose_disk()
        self.history.on_disk_lost(self.host)
        self.start()

    def back_up(self) -> Backup:
        """Return a copy of what the disk has committed."""
        return Backup(self.store.backup(), self.history.order)

    def restore(self, backup: Backup) -> None:
        """Crash, if it is up, and start with an old copy of the disk."""
        if self.up:
            self.crash()
        self.store.restore(backup.disk)
        self.history.on_restored(self.host, backup.taken)
        self.start()

    def pause(self) -> None:
        """Stop the process as a debugger or a suspended machine does."""
        self._paused = True

    def resume(self) -> None:
        """Go on after `pause`."""
        self._paused = False
        self._turn()

    def jump_clock(self, seconds: float) -> None:
        """Let the monotonic clock jump ahead, as after a suspension."""
        self.clock_skew_s += seconds
        self._timer_time = float("-inf")
        self._armed = None
        self._turn()

    def _mortal_handlers(self) -> dict[type, Callable[[Any], None]]:
        life = self.life

        def mortal(handler: Callable[[Any], None]) -> Callable[[Any], None]:
            return lambda effect: handler(effect) if self.up and self.life == life else None

        return {kind: mortal(handler) for kind, handler in self._handlers().items()}

    # --- For subclasses ---

    def _make(self, random_bytes: Callable[[int], bytes]) -> ClientNode | ServerNode:
        raise NotImplementedError

    def _handlers(self) -> dict[type, Callable[[Any], None]]:
        return {}

    def _started(self) -> None:
        pass

    def _on_event(self, event: ev.Event) -> None:
        raise NotImplementedError

    # --- Inputs and outputs ---

    def _arrive(self, data: bytes, source: Address) -> None:
        if len(self._buffer) >= SOCKET_BUFFER_DATAGRAMS:
            return
        self._buffer.append((data, source))
        if len(self._buffer) == 1:
            life = self.life
            # Once more round the clock: what arrives in the same instant is one burst.
            self._clock.call_later(0.0, lambda: self._turn() if self.life == life else None)

    def _turn(self) -> None:
        """Take in what waits and drain the node until it has nothing more to say."""
        node = self._node
        self._again = True
        if node is None or self._paused or self._draining:
            return
        self._draining = True
        try:
            while self._node is node and self._drain(node):
                pass
        finally:
            self._draining = False
        if self._node is node:
            self._arm(node)

    def _drain(self, node: ClientNode | ServerNode) -> bool:
        """One round; tell whether another one can bring something: rounds are what a world costs.

        What an application does in answer to an event asks for one, see `_turn`.
        """
        self._again = False
        now, executor = self.now, self._executor
        if self._buffer:
            burst, self._buffer = self._buffer, []
            node.receive_datagrams(burst, now)
        assert executor is not None
        executor.settle(now)
        if self._node is not node:
            return False
        told = False
        datagrams = node.datagrams_to_send(now)
        for data, destination in datagrams:
            self._network.send(self.address, destination, data)
            if self._node is not node:
                return False
        while (event := node.next_event()) is not None:
            told = True
            self._on_event(event)
            if self._node is not node:
                return False
        if not (told or datagrams):
            return self._again
        return executor.settle(now) or self._again or len(datagrams) >= BURST_DATAGRAMS

    def _arm(self, node: ClientNode | ServerNode) -> None:
        """Keep a timer that is early: most deadlines move on before they come."""
        when = node.next_timeout()
        if when is None or (self._armed is not None and self._armed <= when):
            return
        self._armed = when
        self._clock.call_at(
            when - self.clock_skew_s, partial(self._on_timer, node, when, self.clock_skew_s)
        )

    def _on_timer(self, node: ClientNode | ServerNode, when: float, skew_s: float) -> None:
        if self._node is not node or self._armed != when or skew_s != self.clock_skew_s:
            return
        if self._paused:
            self._clock.call_later(0.1, partial(self._on_timer, node, when, skew_s))
            return
        self._armed = None
        self._spins = self._spins + 1 if self._spun_at == self._clock.now else 0
        self._spun_at = self._clock.now
        assert self._spins < SPINS_MAX, f"{self.host} wants its timer at {when} for ever"
        self._timer_time = when
        due = node.next_timeout()
        if due is None or due > self.now:
            self._arm(node)
            return
        node.handle_timeout(self.now)
        self._turn()
