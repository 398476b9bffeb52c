"""A schedule: from a seed, a world, what may go wrong in it, and a random walk through it.

`Schedule(seed).run()` is one schedule from birth to judgement; the same seed is the same schedule.
"""

import random
from typing import NamedTuple

from tests.model.healing import heal
from tests.model.network import Network
from tests.model.oracle import Oracle
from tests.model.packets import AckR
from tests.model.receiver import Receiver
from tests.model.sender import Sender
from tests.model.server import Server

STEPS = 150
ENDPOINTS_MAX = 3
OPEN_MESSAGES_MAX = 12
FOCUS = 3.0
"""How much more often a trouble comes that a schedule is about."""

TROUBLES = (
    "A crashes",
    "A loses its disk",
    "A is restored",
    "B crashes",
    "B loses its disk",
    "B is restored",
    "S crashes",
    "S loses its disk",
    "cancel",
    "refusal",
    "members leave",
    "members join late",
    "forgery",
)


class Rules(NamedTuple):
    """Who plays; a mutant puts a subclass in a place."""

    sender: type = Sender
    receiver: type = Receiver
    server: type = Server


class Schedule:
    """One world and its walk."""

    def __init__(self, seed, rules=None, tell=None):
        rules = rules or Rules()
        self.tell = tell
        """Is told the story, line by line, when somebody wants to read it."""
        self.dice = random.Random(seed)
        self.calm = False
        self.network = Network()
        self.oracle = Oracle(self)
        self.streams = []
        """Every incarnation that A ever had."""
        self.numbers = 0
        self.troubles = {t for t in TROUBLES if self.coin(0.4)}
        self.focus = {self.choice(TROUBLES) for _ in range(self.choice((0, 2, 3)))}
        """These make most of the trouble."""
        self.troubles |= self.focus
        self.commits = self.choice((0.4, 0.7, 0.9))
        """How often a commit follows at once."""
        self.is_group = self.coin(0.5)
        self.server = rules.server(self)
        self.sender = rules.sender(self)
        count = 1 + self.below(ENDPOINTS_MAX)
        self.receivers = [rules.receiver(self, number) for number in range(count)]
        present = 1 + self.below(count) if "members join late" in self.troubles else count
        self.wants = [number < present for number in range(count)]
        for receiver in self.receivers[:present]:
            receiver.login()
        self.sender.login()

    # --- Dice ---

    def coin(self, probability):
        return self.dice.random() < probability

    def below(self, end):
        return int(self.dice.random() * end)

    def choice(self, things):
        return things[self.below(len(things))]

    def draw_number(self):
        self.numbers += 1
        return self.numbers

    # --- What chance decides for the players ---

    def reachable(self, endpoint):
        """Whether S takes an endpoint for online, rightly or not."""
        return not self.receivers[endpoint].gone if self.calm else self.coin(0.6)

    def sender_online(self):
        return not self.sender.gone if self.calm else self.coin(0.6)

    def session_ends(self):
        """Whether a push goes to the queue as well, because the session ended unreceipted."""
        return not self.calm and self.coin(0.15)

    def refuses(self):
        return not self.calm and "refusal" in self.troubles and self.coin(0.2)

    # --- The walk ---

    def run(self):
        """Walk, heal, judge.

        Raises:
            Violation: A promise was broken.
        """
        walk = [step for step in WALK if step.trouble is None or step.trouble in self.troubles]
        weights = [step.weight * (FOCUS if step.trouble in self.focus else 1) for step in walk]
        steps = self.dice.choices(walk, weights, k=STEPS)
        for step in steps:
            if self.tell and step.act is not Schedule.deliver:
                self.tell(step.act.__name__)
            step.act(self)
        heal(self)

    def deliver(self):
        picked = self.network.pick(self.dice)
        if picked is None:
            return
        self.hand_over(*picked)

    def hand_over(self, to, packet):
        """Give a packet to whom it is for.

        Returns:
            Whether it was taken.
        """
        if self.tell:
            self.tell(f"  → {to}: {packet}")
        if to == "S":
            self.server.process = self.below(2)
            return self.server.receive(packet)
        player = self.sender if to == "A" else self.receivers[to]
        if player.gone:
            return True
        taken = player.receive(packet)
        if self.calm or self.coin(self.commits):
            player.commit()
        return taken

    def write(self):
        box = self.sender.box
        stream = box.streams.get(box.incarnation)
        if stream is None or stream.next_seq - stream.floor < OPEN_MESSAGES_MAX:
            self.sender.write()
            if self.sender.up and self.coin(0.7):
                stream = box.streams[box.incarnation]
                self.sender.transmit(stream, stream.next_seq - 1)

    def an_open_message(self):
        """Return a stream and a seq from its floor on, or None."""
        streams = [s for s in self.sender.box.streams.values() if s.floor < s.next_seq]
        if not streams:
            return None
        stream = self.choice(streams)
        return stream, stream.floor + self.below(stream.next_seq - stream.floor)

    def transmit(self):
        found = self.an_open_message() if self.sender.up else None
        if found is not None:
            self.sender.transmit(*found)

    def cancel(self):
        found = self.an_open_message()
        if found is not None:
            self.sender.cancel(*found)
            self.sender.commit()

    def ask(self):
        if self.sender.up and self.sender.box.streams:
            self.sender.ask(self.choice(list(self.sender.box.streams.values())))

    def commit(self):
        self.sender.commit()
        for receiver in self.receivers:
            receiver.commit()
        self.server.fsync(self.below(2))

    def login_a(self):
        self.sender.login()

    def login_b(self):
        self.choice(self.receivers).login()

    def log_in_who_is_down(self):
        for player in (self.sender, *self.receivers):
            if not player.up and self.coin(0.5):
                player.login()

    def pull(self):
        receiver = self.choice(self.receivers)
        if receiver.up:
            receiver.pull()

    def crash_a(self):
        self.sender.crash()

    def crash_b(self):
        self.choice(self.receivers).crash()

    def crash_s(self):
        self.server.crash(self.below(2))

    def lose_a(self):
        self.sender.lose_disk()

    def lose_b(self):
        self.choice(self.receivers).lose_disk()

    def lose_s(self):
        """What S noted to know old copies by is lost with it, so there are none (PROTOCOL §5.8)."""
        players = (self.sender, *self.receivers)
        if not any(player.restored for player in players):
            self.server.lose_disk()
            for player in players:
                player.backup = None

    def back_up(self):
        """Copy a disk. One that was never let in could not tell its own writing afterwards."""
        player = self.choice([self.sender, *self.receivers])
        if player.up:
            player.backup = player.disk.copy()

    def restore_a(self):
        self._restore(self.sender)
        if self.coin(0.5):
            self.sender.write()
        if self.coin(0.2):
            self.cancel()

    def restore_b(self):
        self._restore(self.choice(self.receivers))

    def _restore(self, player):
        if player.backup is not None:
            player.restore()

    def join(self):
        """Somebody new, or one that left, comes: by an invitation, or by its first login."""
        absent = [e for e, wanted in enumerate(self.wants) if not wanted]
        if absent:
            endpoint = self.choice(absent)
            self.wants[endpoint] = True
            store = self.server.store
            if endpoint in store.devices and endpoint not in store.joined:
                store.join(endpoint)
                self.server.tell_members()
            else:
                self.receivers[endpoint].login()

    def leave(self):
        """A member leaves a group; a device not seen for long is retired, and may come back."""
        store = self.server.store
        if len(store.joined) > 1:
            endpoint = self.choice(list(store.joined))
            self.wants[endpoint] = not self.is_group
            self.server.leave(endpoint)

    def forge(self):
        """A client reports in the name of another; what it says is true of itself."""
        for to, packet in reversed(self.network.ever):
            if to == "S" and isinstance(packet, AckR):
                claims = self.below(len(self.receivers))
                self.network.send("S", packet._replace(claims=claims))
                return


class Step(NamedTuple):
    act: object
    weight: float
    trouble: str | None = None


WALK = (
    Step(Schedule.deliver, 60),
    Step(Schedule.write, 10),
    Step(Schedule.transmit, 12),
    Step(Schedule.ask, 2),
    Step(Schedule.commit, 3),
    Step(Schedule.pull, 3),
    Step(Schedule.login_a, 1),
    Step(Schedule.login_b, 2),
    Step(Schedule.log_in_who_is_down, 4),
    Step(Schedule.cancel, 4, "cancel"),
    Step(Schedule.crash_a, 1.5, "A crashes"),
    Step(Schedule.crash_b, 2, "B crashes"),
    Step(Schedule.crash_s, 2, "S crashes"),
    Step(Schedule.lose_a, 0.7, "A loses its disk"),
    Step(Schedule.lose_b, 0.7, "B loses its disk"),
    Step(Schedule.lose_s, 0.7, "S loses its disk"),
    Step(Schedule.back_up, 2, "A is restored"),
    Step(Schedule.back_up, 2, "B is restored"),
    Step(Schedule.restore_a, 1, "A is restored"),
    Step(Schedule.restore_b, 1, "B is restored"),
    Step(Schedule.join, 2, "members join late"),
    Step(Schedule.leave, 1.5, "members leave"),
    Step(Schedule.forge, 1, "forgery"),
)
