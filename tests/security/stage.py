"""A live encrypted server in virtual time, honest clients who use it, and strangers who strike it.

What the server answers to a strike is known exactly: everything else that was due has left before.
"""

from tests.crypto.secure import client_security, server_security
from tests.node.harness import SERVER, Client, Net, Server
from tests.settings import settings
from udpim.hop.config import HopConfig
from udpim.store.state import StoreState

GUESTS = 8
"""Users who come and go; their devices come back, so that they leave no more behind each time."""
CONNECT_S_MAX = 1.0
"""Virtual time in which an honest client has to be logged in, whatever strangers do."""


class Ledger:
    """Bytes from and to each address that strikes."""

    def __init__(self):
        self.bytes_in = self.bytes_out = 0
        self.replies = 0
        self._balance = {}
        self.worst = 0.0
        """The largest part of what came from an address that went back to it."""

    def came(self, address, size):
        self.bytes_in += size
        balance = self._balance.get(address)
        if balance is None:
            self._balance[address] = [size, 0]
        else:
            balance[0] += size

    def went(self, address, size):
        self.bytes_out += size
        self.replies += 1
        balance = self._balance.setdefault(address, [0, 0])
        balance[1] += size
        self.worst = max(self.worst, balance[1] / balance[0] if balance[0] else float("inf"))

    @property
    def addresses(self):
        return len(self._balance)


class Stage(Net):
    """The network of all of them; ``tap`` sees what the honest ones send."""

    def __init__(self, seed, **hop):
        super().__init__(seed)
        hop = {"grease_packets_max": 0, **hop}
        self.client_hop = settings(HopConfig, security=client_security(), **hop)
        self.tap = lambda source, destination, data: None
        self.server = Server(self, hop=settings(HopConfig, security=server_security(), **hop))
        self.ledger = Ledger()
        self.waiting = []
        """Honest clients who are about to connect, with the time at which they began."""
        self.connected_s = []
        """How long each of them took."""
        self.late = []
        self._guests = 0
        self._states = [StoreState() for _ in range(GUESTS)]

    def transmit(self, source, destination, data):
        """As a network does, without a log: there are millions."""
        self.tap(source, destination, data)
        if destination in self.peers:
            super().transmit(source, destination, data)
            self.sent.clear()

    def strike(self, burst):
        """Hand a burst to the server; return what it answers at once, by the ledger too."""
        self.flush()
        ledger, server = self.ledger, self.server
        for data, address in burst:
            ledger.came(address, len(data))
        server.receive(burst, self.now)
        answers = server.turn(self.now)
        for data, address in answers:
            ledger.went(address, len(data))
            self.transmit(SERVER, address, data)
        return answers

    def join(self, who):
        """An honest client, logged in."""
        return Client(self, who, hop=self.client_hop).login()

    # Honest clients who come and go meanwhile.

    def invite(self):
        """One more of them begins to connect."""
        number = self._guests % GUESTS
        self._guests += 1
        state = self._states[number]
        guest = Client(self, f"guest{number}/g", hop=self.client_hop, state=state).dial()
        self.waiting.append((guest, self.now))

    def welcome(self):
        """See who has connected, and let them go again."""
        for guest, began in list(self.waiting):
            if guest.online:
                self.connected_s.append(self.now - began)
            elif self.now - began > CONNECT_S_MAX:
                self.late.append(guest.config.user)
            else:
                continue
            self.waiting.remove((guest, began))
            guest.node.close(self.now)
            self.flush()
            del self.peers[guest.address]

    @property
    def listener(self):
        return self.server.node.listener

    def sizes(self):
        """How full the tables are that strangers could fill."""
        listener = self.listener
        return {
            "connections": self.server.node.links,
            "handshakes": listener.handshakes,
            "unproven": listener.unproven_handshakes,
            "addresses": len(listener._admission),
            "early_datagrams": sum(len(h.early) for h in listener._handshakes._by_cid.values()),
        }
