"""The network of the model: it keeps everything, and gives it when it likes, again, or never."""

NEVER_MISSED = 0.7
"""Share of deliveries that bring something not delivered before, lest nothing ever get through."""
RECENT = 6


class Network:
    """A bag of packets; ``ever`` is all that was sent, ``fresh`` what has not arrived yet."""

    def __init__(self):
        self.ever = []
        self.fresh = []

    def send(self, to, packet):
        self.ever.append((to, packet))
        self.fresh.append((to, packet))

    def pick(self, dice):
        """Take a packet to deliver: a new one, a copy of a recent one, a copy of any."""
        if not self.ever:
            return None
        kind = dice.random()
        if self.fresh and kind < NEVER_MISSED:
            at = int(dice.random() * len(self.fresh))
            self.fresh[at], self.fresh[-1] = self.fresh[-1], self.fresh[at]
            return self.fresh.pop()
        last = len(self.ever)
        reach = min(RECENT, last) if kind < (1 + NEVER_MISSED) / 2 else last
        return self.ever[last - 1 - int(dice.random() * reach)]

    def take_fresh(self):
        """Take all that has not arrived yet, oldest first."""
        fresh, self.fresh = self.fresh, []
        return fresh
