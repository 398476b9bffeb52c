"""A client that dials and a server that listens, encrypted, over a network that does as it is told.

Virtual time, one-way delay `DELAY_S`. The client says ``login`` as soon as it has a connection, the
server answers ``welcome`` to it; what crossed is in ``log``.
"""

import heapq
import random
from itertools import count

from tests.crypto.secure import client_security, server_security
from tests.settings import settings
from udpim.crypto.security import CHACHA_BLAKE2S
from udpim.crypto.tokens import AddressTokens, ConnectionIdIssuer
from udpim.hop.config import HopConfig
from udpim.hop.dial import Dialer
from udpim.hop.listen import Listener
from udpim.wire.packet import is_long

SECRET = b"0123456789abcdef"
SERVER = ("192.0.2.1", 9000)
CLIENT = ("198.51.100.7", 40_000)
DELAY_S = 0.05
_NAMES = {0: "HELLO", 1: "RETRY", 2: "WELCOME", 3: "RESET", 4: "VERSION", 5: "FINISH"}


def label(datagram):
    """What an onlooker sees."""
    return _NAMES[datagram[0] >> 3 & 7] if is_long(datagram) else "short"


class Server:
    """A listener, its connections, and what their owner saw."""

    def __init__(self, security=None, *, seed=2, **config):
        self.issuer = ConnectionIdIssuer(SECRET, 3)
        security = security or server_security()
        self.listener = Listener(
            config=settings(HopConfig, security=security, grease_packets_max=0, **config),
            issuer=self.issuer,
            tokens=AddressTokens(SECRET),
            random_bytes=random.Random(seed).randbytes,
        )
        self.connections = {}
        self.received = []

    def receive(self, datagram, path, now):
        """Take in one datagram, as a node does."""
        short = bool(datagram) and not is_long(datagram)
        connection = self.connections.get(datagram[1:9]) if short else None
        if connection is not None:
            self._take(connection, datagram, path, now)
            return
        made = self.listener.receive_datagram(datagram, path, now, self.connections)
        if made is not None:
            assert made.local_cid not in self.connections
            self.connections[made.local_cid] = made
            for early, source in self.listener.early_datagrams():
                self._take(made, early, source, now)

    def _take(self, connection, datagram, path, now):
        packet = connection.receive_packet(datagram, path, now)
        if packet is not None:
            self.received += [(now, frame) for frame in packet.frames]
            connection.take(packet, now)
            if packet.frames:
                connection.send_frame(b"welcome", None, now)

    def datagrams_to_send(self, now):
        out = self.listener.datagrams_to_send(now)
        for connection in self.connections.values():
            connection.handle_timeout(now)
            out += connection.datagrams_to_send(now)
        return out

    def next_timeout(self):
        times = [connection.next_timeout() for connection in self.connections.values()]
        return min((t for t in times if t is not None), default=None)

    @property
    def connection(self):
        """The only one."""
        (one,) = self.connections.values()
        return one


class Client:
    """A dialer, then its connection."""

    def __init__(self, security=None, *, seed=1, now=100.0):
        self.dialer = Dialer(
            server=SERVER,
            config=HopConfig(security=security or client_security(), grease_packets_max=0),
            random_bytes=random.Random(seed).randbytes,
            now=now,
        )
        self.connection = None
        self.received = []
        self.connected_at = None

    def receive(self, datagram, path, now):
        if self.connection is None:
            self.dialer.receive_datagram(datagram, path, now)
            self.connection = self.dialer.connection
            if self.connection is not None:
                self.connected_at = now
                self.connection.send_frame(b"login", None, now)
        elif datagram and not is_long(datagram):
            packet = self.connection.receive_packet(datagram, path, now)
            if packet is not None:
                self.received += packet.frames
                self.connection.take(packet, now)

    def datagrams_to_send(self, now):
        if self.connection is None:
            return self.dialer.datagrams_to_send(now)
        self.connection.handle_timeout(now)
        return self.connection.datagrams_to_send(now)

    def next_timeout(self):
        return (self.connection or self.dialer).next_timeout()


class World:
    """Both, and the network between them."""

    def __init__(self, pattern="XK", *, client=None, server=None):
        self.now = 100.0
        self.client = client or Client(client_security(pattern))
        self.server = server or Server(server_security(pattern))
        self.fate = lambda name, nth: (DELAY_S,)
        """How long each copy of the nth packet of a name travels; () for a lost one."""
        self.log = []
        """(when sent, whether by the client, datagram), whatever its fate."""
        self._seen = {}
        self._events = []
        self._order = count()

    def _flush(self):
        for by_client, end in ((True, self.client), (False, self.server)):
            for datagram, path in end.datagrams_to_send(self.now):
                self.log.append((self.now, by_client, datagram))
                assert path == (SERVER if by_client else CLIENT)
                name = label(datagram)
                nth = self._seen[name] = self._seen.get(name, 0) + 1
                for delay in self.fate(name, nth):
                    event = (self.now + delay, next(self._order), by_client, datagram)
                    heapq.heappush(self._events, event)

    def run(self, seconds):
        """Let virtual time pass."""
        limit = self.now + seconds
        while True:
            self._flush()
            times = [end.next_timeout() for end in (self.client, self.server)]
            times = [t for t in times if t is not None] + [e[0] for e in self._events[:1]]
            if not times or min(times) > limit:
                self.now = limit
                return
            self.now = max(self.now, min(times))
            while self._events and self._events[0][0] <= self.now:
                _, _, by_client, datagram = heapq.heappop(self._events)
                if by_client:
                    self.server.receive(datagram, CLIENT, self.now)
                else:
                    self.client.receive(datagram, SERVER, self.now)

    def connect(self):
        """A handshake without accidents."""
        self.run(1.0)
        self.check()

    def check(self):
        """Both ends are connected once, with the same keys, and each frame has come once."""
        at_client, at_server = self.client.connection, self.server.connection
        assert at_client.channel_binding == at_server.channel_binding
        assert at_client.channel_binding is not None
        assert [b"login"] == [frame for _, frame in self.server.received]
        assert [b"welcome"] == self.client.received

    @property
    def labels(self):
        """What crossed, in order, with the first letter of who sent it."""
        return [("C " if by_client else "S ") + label(data) for _, by_client, data in self.log]

    def sent(self, name):
        """All datagrams of a name."""
        return [data for _, _, data in self.log if label(data) == name]


def held_at(pattern, name, *, suite=CHACHA_BLAKE2S, **config):
    """A world in which the first packet of a name was sent and lost; the packet."""
    client = Client(client_security(pattern, suite=suite))
    world = World(pattern, client=client, server=Server(server_security(pattern), **config))
    world.fate = lambda n, nth: () if n == name else (DELAY_S,)
    world.run(0.2)
    return world, world.sent(name)[0]


def finished(world, retries=0):
    """The rest is left to itself: both ends get the same keys."""
    world.fate = lambda name, nth: (DELAY_S,)
    world.run(5.0)
    world.check()
    assert retries == world.client.dialer.stats.retries_received
    assert 1 == len(world.server.connections)
