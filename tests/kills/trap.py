"""Ends its own process with SIGKILL at one effect boundary; the runner installs it from outside.

The driver's effect executor is replaced by one through which every effect of the node passes, and
so is the way that its datagrams leave. An effect is named by kind and ordinal, counted over the
life of the process: ``PutOutbox#2`` is the second transaction that holds a `PutOutbox`,
``msg:N#2`` the second burst of datagrams that holds a msg:N. Each has these boundaries:

before
    The node has asked for it, and nothing of it is done.
after
    It is done (a transaction is synced, a burst is with the kernel), and nobody was told.
told
    The node was told, and what it sent because of that has left.
"""

import asyncio
import os
import signal
from collections import Counter
from contextlib import suppress
from functools import partial

from udpim.errors import LocalProtocolError
from udpim.node.client import ClientNode
from udpim.node.effects import Commit
from udpim.node.server import ServerNode
from udpim.runtime import driver
from udpim.store.base import Completion
from udpim.store.executor import EffectExecutor
from udpim.testing.wiretap import Wiretap
from udpim.wire.im_packets import Kind

PHASES = ("before", "after", "told")
wiretap = Wiretap()
"""Reads what this process sends; the runner has it told the secrets."""
IM_PACKETS = {kind.label for kind in Kind}


class Leaving(list):
    """The datagrams of one pass: an effect too, though no executor carries it out."""


def kinds_of(effect):
    """Kinds of an effect: a transaction's operations, a burst's IM packets, else its own."""
    if isinstance(effect, Leaving):
        contents = [wiretap.read(datagram) for datagram, _ in effect]
        return sorted({label for content in contents for label in content.labels} & IM_PACKETS)
    if isinstance(effect, Commit):
        return sorted({type(op).__name__ for op in effect.ops})
    return [type(effect).__name__]


def nothing(**_):
    """No last words."""


class Trap:
    """Counts the effects of this process; one of them may be the last."""

    def __init__(self, target=None, phase=None, last_words=nothing):
        self.counts = Counter()
        self._target = target
        self._phase = phase
        self._last_words = last_words
        self._caught = None

    def taken(self, effect):
        """The node has asked for this effect, or handed out what is to leave."""
        kinds = kinds_of(effect)
        self.counts.update(kinds)
        if self._target in [f"{kind}#{self.counts[kind]}" for kind in kinds]:
            self._caught = effect
            if self._phase == "before":
                self._kill()
            if self._phase == "after" and isinstance(effect, Leaving):
                self._kill_after_this_turn()

    def ends_after(self, token):
        """Whether the process is to end as soon as this is done."""
        return self._phase == "after" and getattr(self._caught, "token", None) == token

    def done(self, effect):
        """A handler has carried this out."""
        if self._phase == "after" and effect is self._caught:
            self._kill()

    def durable(self, token):
        """The store has carried this out; nobody was told."""
        if self.ends_after(token):
            self._kill()

    def told(self, token):
        """The node was told; what it sends because of that leaves in this turn of the loop."""
        if self._phase == "told" and getattr(self._caught, "token", None) == token:
            self._kill_after_this_turn()

    def _kill_after_this_turn(self):
        asyncio.get_running_loop().call_soon(self._kill)

    def _kill(self):
        self._last_words(target=self._target, phase=self._phase, kinds=kinds_of(self._caught))
        os.kill(os.getpid(), signal.SIGKILL)


class TrappedNode:
    """A node whose effects and verdicts pass the trap."""

    def __init__(self, node, trap):
        self._node = node
        self._trap = trap

    def next_effect(self):
        effect = self._node.next_effect()
        if effect is not None:
            self._trap.taken(effect)
        return effect

    def on_commit_done(self, token, error, now):
        self._node.on_commit_done(token, error, now)
        self._trap.told(token)

    def on_queue_read(self, token, items, now):
        self._node.on_queue_read(token, items, now)
        self._trap.told(token)


class TrappedStore:
    """A store whose completions pass the trap; a witness hears what has become durable."""

    def __init__(self, store, trap, witness):
        self._store = store
        self._trap = trap
        self._witness = partial(witness, store.path)
        self._submitted = {}

    def submit(self, token, ops):
        self._submitted[token] = ops
        self._store.submit(token, ops)
        self._end_after(token)

    def read_queue(self, token, request):
        self._store.read_queue(token, request)
        self._end_after(token)

    def _end_after(self, token):
        if self._trap.ends_after(token):
            # Asking for a snapshot waits for everything submitted before, also where it is refused.
            with suppress(LocalProtocolError):
                self._store.load_client()
            self._witness(self._submitted.get(token, ()))
            self._trap.durable(token)

    def completed(self):
        completions = self._store.completed()
        for token, error, _ in completions:
            ops = self._submitted.pop(token, ())
            if error is None:
                self._witness(ops)
        return completions


class HastyStore:
    """The planted bug: it reports a transaction at once, and carries it out with the next one."""

    def __init__(self, store):
        self._store = store
        self._held = None
        self._early = []
        self._reported = set()

    def submit(self, token, ops):
        self._catch_up()
        self._held = (token, ops)
        self._early.append(Completion(token, None, ()))
        self._reported.add(token)

    def read_queue(self, token, request):
        self._catch_up()
        self._store.read_queue(token, request)

    def completed(self):
        late = [done for done in self._store.completed() if done.token not in self._reported]
        early, self._early = self._early, []
        return early + late

    def _catch_up(self):
        if self._held is not None:
            self._store.submit(*self._held)
            self._held = None


class TrappedExecutor(EffectExecutor):
    """The driver's executor, with the trap at every boundary."""

    def __init__(self, node, store, handlers=None, *, trap, witness, hasty):
        store = TrappedStore(store, trap, witness)
        super().__init__(
            TrappedNode(node, trap),
            HastyStore(store) if hasty else store,
            {kind: partial(self._handle, handler) for kind, handler in (handlers or {}).items()},
        )
        self._trap = trap

    def _handle(self, handler, effect):
        handler(effect)
        self._trap.done(effect)


def install(trap, witness, *, hasty=False):
    """Have every driver of this process use the trap.

    ``witness`` is called with a store's path and the operations of each transaction, when it is
    durable and before anybody is told.
    """
    driver.EffectExecutor = partial(TrappedExecutor, trap=trap, witness=witness, hasty=hasty)
    for node in (ClientNode, ServerNode):
        _watch_leaving(node, trap)


def _watch_leaving(node, trap):
    datagrams_to_send = node.datagrams_to_send

    def watched(self, now):
        datagrams = datagrams_to_send(self, now)
        trap.taken(Leaving(datagrams))
        return datagrams

    node.datagrams_to_send = watched
