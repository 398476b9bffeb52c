"""Random worlds in which one user's inboxes are renewed while everybody dies (PROTOCOL §5.8).

`test_swarm` has all kinds of trouble; here one sender, and one or two devices that lose their disks
again and again, with packets that are lost at the wrong moment. Nothing may wait at a gap for ever:
of 250 such worlds 9 did when heads kept the floor they left with and nobody heard a question.
"""

import random

import pytest

from tests.semantics.situations import bad, payloads
from udpim.testing import World

WORLDS = 24
LABELS = (
    "msg:R", "msg:N", "ack:R", "ack:N", "status:R", "status:N", "cancel:R", "cancel:N", "members",
    "offline:A", "offlineack:R",
)  # fmt: skip


class Renewals:
    """One world and its dice."""

    def __init__(self, seed):
        self.dice = dice = random.Random(f"{seed}:renewals")
        self.world = World(seed, faults=bad(dice.choice([0.0, 0.0, 0.1, 0.3])))
        self.server = self.world.server()
        self.alice = self.world.client("alice")
        devices = ("phone", "laptop")[: dice.choice([1, 1, 2])]
        self.bobs = [self.world.client("bob", d, durable=dice.random() < 0.9) for d in devices]
        self.world.online(300)
        self.sent = []
        self.send()
        self.world.settle(300)

    def run(self):
        actions = [self.send, self.send, self.send, self.crash, self.renew, self.cancel, self.lose]
        for _ in range(self.dice.choice([10, 25, 40])):
            self.dice.choice(actions)()
            self.world.run(self.dice.choice([0.0, 0.01, 0.03, 0.05, 0.3, 2.0, 40.0]))

    def send(self):
        if self.alice.up and not self.alice.errors:
            batch = payloads(self.dice.choice([1, 2, 5, 9]), f"{len(self.sent)}-")
            self.sent.append((self.alice.life, self.alice.send("bob", batch)))

    def crash(self):
        who = self.dice.choice([self.alice, self.server, *self.bobs])
        if who.up:
            who.crash(landing=self.dice.choice([0, 0, 1, 5]))
        if who is self.server or self.dice.random() < 0.5:
            who.start()

    def renew(self):
        self.dice.choice(self.bobs).lose_disk()

    def cancel(self):
        life, sent = self.dice.choice(self.sent)
        if self.alice.up and life == self.alice.life:
            self.alice.cancel(sent)

    def lose(self):
        """Lose the next packet of a kind, and perhaps somebody with it."""
        who = self.dice.choice([None, self.alice, *self.bobs])
        self.world.network.intercept(
            self.dice.choice(LABELS),
            copies=self.dice.choice([(1,), (1, 2, 3)]),
            drop=self.dice.random() < 0.7,
            then=lambda: who is not None and who.up and who.crash(),
        )


@pytest.mark.parametrize("number", range(WORLDS))
def test_nothing_waits_for_what_an_older_inbox_had(seed, number):
    renewals = Renewals(f"{seed}/{number}")
    renewals.run()
    world = renewals.world
    world.heal_and_settle()
    world.online()
    world.run(60)
    world.check()
    world.check_quiet()
