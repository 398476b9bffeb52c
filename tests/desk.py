"""A client's receiving half without a network: an inbox, its queue, and what is set aside."""

from tests.im.helpers import STREAM, Receiver, section
from udpim.aside import Aside
from udpim.handling import Handling
from udpim.message import Incoming


class Desk:
    """What arrives is committed and shown at once; what is handled is committed by `commit`."""

    def __init__(self, receiver=None, **limits):
        self.receiver = receiver or Receiver(**limits)
        self.wakes = 0
        self.incoming = Incoming(self.wake)
        self.aside = Aside(self.receiver.inbox, self.incoming, self.wake)
        self.handling = Handling(self.incoming, self.aside)
        self.next_seqs = {}
        self.show()

    def wake(self):
        self.wakes += 1

    def show(self):
        self.incoming.add(self.receiver.inbox.take_released())

    def arrive(self, *payloads, stream=STREAM):
        first = self.next_seqs.get(stream, 1)
        self.next_seqs[stream] = first + len(payloads)
        self.receiver.push(section(first, *payloads), stream=stream)
        self.receiver.commit()
        self.show()

    def commit(self):
        for run in self.incoming.take_handled():
            self.receiver.inbox.handled(run.stream, run.first, run.size_bytes, run.count)
        self.receiver.commit()

    def restart(self):
        """The process dies with all that is not committed."""
        return Desk(self.receiver.restart())

    @property
    def waiting(self):
        return self.receiver.inbox.sizes()["waiting_messages"]
