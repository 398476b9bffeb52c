"""Random worlds: everything that can happen, happens to everybody; the oracle judges each run.

A seed decides which kinds of trouble a world has and how much of them, so that different worlds are
different in kind. `UDPIM_SEED` replays one.
"""

import random

import pytest

from tests.semantics.situations import bad, finish, got
from udpim.testing import World

WORLDS = 24
TURNS = 60


class Trouble:
    """One world and the dice that trouble it."""

    def __init__(self, seed):
        self.dice = random.Random(f"{seed}:trouble")
        dice = self.dice
        self.kinds = {kind for kind in KINDS if dice.random() < 0.5}
        self.world = World(seed, faults=bad(dice.choice([0.0, 0.05, 0.2, 0.35])))
        self.world.server(durable=dice.random() < 0.85)
        self.clients = []
        for user in ("alice", "bob", "carol"):
            for device in ("phone", "laptop")[: dice.choice([1, 1, 2])]:
                client = self.world.client(user, device, durable=dice.random() < 0.8)
                client.handle_after_s = dice.choice([0.0, 0.0, 0.02, 3.0])
                client.store.sync_s = dice.choice([0.002, 0.002, 0.05])
                self.clients.append(client)
        self.sent = []
        self.number = 0

    def run(self):
        for _ in range(TURNS):
            self.world.run(self.dice.expovariate(2.0))
            self.send()
            if self.kinds:
                kind = self.dice.choice(sorted(self.kinds))
                KINDS[kind](self, self.dice.choice(self.clients))

    def send(self):
        sender = self.dice.choice(self.clients)
        if not sender.up or sender.errors:
            return
        users = sorted({c.endpoint.user for c in self.clients} - {sender.endpoint.user})
        count = self.dice.choice([1, 1, 2, 7, 30])
        payloads = [b"%d.%d" % (self.number, n) for n in range(count)]
        self.number += 1
        ttl_s = None
        if "deadline" in self.kinds and self.dice.random() < 0.2:
            ttl_s = self.dice.expovariate(0.2)
        sent = sender.send(self.dice.choice(users), payloads, ttl_s=ttl_s)
        self.sent.append((sender, sender.life, sent))

    def crash(self, client):
        if client.up:
            client.crash(landing=self.dice.choice([0, 0, 1, 5]))
        else:
            client.start()

    def crash_server(self, client):
        self.world.server().restart(landing=self.dice.choice([0, 1, 5]))

    def cancel(self, client):
        mine = [(s, life, sent) for s, life, sent in self.sent if s is client and s.up]
        if mine:
            _, life, sent = self.dice.choice(mine)
            if life == client.life:
                client.cancel(sent)

    def cut(self, client):
        if self.dice.random() < 0.5:
            self.world.network.cut("server", client.host)
        else:
            self.world.network.cut_one_way(
                *self.dice.choice([("server", client.host), (client.host, "server")])
            )
        end_s = self.dice.expovariate(1 / 20)
        self.world.clock.call_later(end_s, self.world.network.mend)

    def rebind(self, client):
        if client.up:
            client.rebind()

    def pause(self, client):
        if client.up:
            client.pause()
            self.world.clock.call_later(self.dice.expovariate(1 / 10), client.resume)

    def lose_disk(self, client):
        if self.dice.random() < 0.2:
            client.lose_disk()

    def lose_server_disk(self, client):
        if self.dice.random() < 0.1:
            self.world.server().lose_disk()

    def replay(self, client):
        trace = self.world.network.trace
        for crossing in self.dice.sample(trace, min(10, len(trace))):
            source = ("elsewhere", 1) if self.dice.random() < 0.5 else None
            self.world.network.replay(crossing, source=source, delay_s=self.dice.random())

    def deadline(self, client):
        """Messages have deadlines, see `send`."""

    def wait(self, client):
        self.world.run(self.dice.expovariate(1 / 40))


KINDS = {
    "crash": Trouble.crash,
    "crash server": Trouble.crash_server,
    "cancel": Trouble.cancel,
    "cut": Trouble.cut,
    "rebind": Trouble.rebind,
    "pause": Trouble.pause,
    "lose disk": Trouble.lose_disk,
    "lose server disk": Trouble.lose_server_disk,
    "replay": Trouble.replay,
    "deadline": Trouble.deadline,
    "wait": Trouble.wait,
}


@pytest.mark.parametrize("number", range(WORLDS))
def test_random_world(seed, number):
    trouble = Trouble(f"{seed}/{number}")
    print(f"trouble: {sorted(trouble.kinds)}")
    trouble.run()
    finish(trouble.world)
    assert any(got(trouble.world, client) for client in trouble.clients)
