"""S as two processes on one store: transactions that are under way, and deaths between them."""

from tests.model.state import Store


class Processes:
    """What the processes of S share, and what each has in hand."""

    def __init__(self, world):
        self.world = world
        self.oracle = world.oracle
        self.store = Store(1)
        self.process = 0
        """The one that handles the present packet."""
        self.limbo = [[], []]
        """By process: (transaction, what may be said after it) that are not durable yet."""

    def write(self, transaction, after):
        """Make a change durable, now or later; only then say so (I7)."""
        self.limbo[self.process].append((transaction, after))
        if self.world.calm or self.world.coin(self.world.commits):
            self.fsync(self.process)

    def fsync(self, process):
        limbo, self.limbo[process] = self.limbo[process], []
        for transaction, after in limbo:
            transaction()
            after()

    def crash(self, process):
        """A process dies: what it had in hand is durable or not, and nothing was said about it."""
        limbo, self.limbo[process] = self.limbo[process], []
        for transaction, _ in limbo[: self.world.below(len(limbo) + 1)]:
            transaction()

    def lose_disk(self):
        self.limbo = [[], []]
        self.store = Store(self.store.epoch + 1)
