"""Real transactions: what the nodes of some virtual worlds asked their stores for, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import NamedTuple

from udpim.im.records import Op
from udpim.model import GroupAction
from udpim.store.sqlite_file import Kind
from udpim.testing.faults import Profile
from udpim.testing.process import VirtualProcess
from udpim.testing.world import World

WORLDS = 3
ROUNDS = 25
PAYLOAD_BYTES_MAX = 9000
"""Now and then: more than a page of the database."""
ROOM = "#room"

Transaction = tuple[Op, ...]


class Recording(NamedTuple):
    """All transactions of one store, from an empty one on."""

    host: str
    kind: Kind
    transactions: tuple[Transaction, ...]


@cache
def recordings() -> tuple[Recording, ...]:
    """Return those of all stores of all worlds; they are the same in each process."""
    return tuple(recording for number in range(WORLDS) for recording in _record(number))


def _record(number: int) -> list[Recording]:
    dice = Random(f"recordings: {number}")
    world = World(f"recordings: {number}", faults=Profile(loss_ratio=0.05, delay_s=0.01))
    taken: list[tuple[VirtualProcess, list[Transaction]]] = []

    def watch(process: VirtualProcess) -> None:
        transactions: list[Transaction] = []
        taken.append((process, transactions))
        process.store.observe = _both(process.store.observe, transactions)

    watch(world.server())
    alice, bob, carol = (world.client(user, start=False) for user in ("alice", "bob", "carol"))
    for client in (alice, bob, carol):
        watch(client)
        client.start()
    world.online()
    alice.ask_group(GroupAction.CREATE, ROOM)
    world.run(1.0)
    for client in (bob, carol):
        client.ask_group(GroupAction.JOIN, ROOM)
    world.run(1.0)
    for turn in range(ROUNDS):
        sender = dice.choice([client for client in (alice, bob, carol) if client.up])
        others = [user for user in ("alice", "bob", "carol", ROOM) if user not in sender.host]
        size = dice.choice((5, 40, 300, 1000, PAYLOAD_BYTES_MAX))
        sent = sender.send(dice.choice(others), [dice.randbytes(size)] * dice.randint(1, 3))
        if dice.random() < 0.1:
            sender.cancel(sent)
        world.run(dice.random() / 4)
        if turn % 4 == 1:
            (carol.crash if carol.up else carol.start)()
    world.heal_and_settle()
    return [
        Recording(process.host, "client" if index else "server", tuple(transactions))
        for index, (process, transactions) in enumerate(taken)
    ]


def _both(
    observe: Callable[[Sequence[Op]], None], transactions: list[Transaction]
) -> Callable[[Sequence[Op]], None]:
    def both(ops: Sequence[Op]) -> None:
        transactions.append(tuple(ops))
        observe(ops)

    return both
