"""Two connections, a bad network between them, and virtual time: no sockets, no sleeps.

Both ends are in plaintext, or encrypted under keys as a handshake would have left them; the mode is
that of :data:`MODE`, which :func:`both_modes` goes through.
"""

import heapq
import random
from itertools import count

import pytest

from udpim.crypto.handshake import HandshakeResult
from udpim.crypto.noise.handshake_state import TransportKeys
from udpim.crypto.packet_keys import packet_keys
from udpim.crypto.security import AES_SHA256, CHACHA_BLAKE2S, SUITES
from udpim.hop.codes import ConnectionState, Role
from udpim.hop.config import HopConfig
from udpim.hop.connection import Connection
from udpim.hop.sealing import sealing_for
from udpim.hop.stats import HopStats
from udpim.hop.timers import TimerTable
from udpim.wire.frames import parse_frames

CLIENT = ("198.51.100.7", 40_000)
SERVER = ("192.0.2.1", 9000)
CLIENT_CID = b"client-1"
SERVER_CID = b"server-1"
RESET_TOKEN = b"reset-token-0016"

PLAIN = 0
"""The mode without encryption; others are numbers of suites."""
MODES = {"plain": PLAIN, "chacha": CHACHA_BLAKE2S, "aes": AES_SHA256}
MODE = {"now": PLAIN}
"""What connections are made with now."""
_SECRETS = (bytes(range(32)), bytes(range(32, 64)))


@pytest.fixture(params=["plain", "chacha"])
def both_modes(request):
    """The test runs in plaintext, and again encrypted."""
    before, MODE["now"] = MODE["now"], MODES[request.param]
    yield request.param
    MODE["now"] = before


def keys_of(role, mode):
    """The packet keys of one end; None in plaintext."""
    if mode == PLAIN:
        return None
    suite = SUITES[mode]
    send, receive = _SECRETS if role is Role.CLIENT else reversed(_SECRETS)
    secrets = TransportKeys(cipher=suite.cipher, send=send, receive=receive)
    return packet_keys(suite.hash, secrets)


def sealing_of_peer(connection):
    """The sealing of a connection's other end, as new."""
    role = Role.SERVER if connection.role is Role.CLIENT else Role.CLIENT
    return sealing_for(keys_of(role, MODE["now"]), HopConfig(), TimerTable(), HopStats())


def packet_to(connection, number, *frames, cid=None):
    """A datagram as the connection's peer would send it, perhaps to another of its ids."""
    payload = b"".join(frames).ljust(15, b"\0")
    return sealing_of_peer(connection).seal(cid or connection.local_cid, number, payload)


def frames_of(connection, datagram):
    """The frames that its peer finds in a connection's datagram of the first 2**32."""
    sealing = sealing_of_peer(connection)
    header, _, number = sealing.read_header(datagram)
    return parse_frames(sealing.open(header, number, datagram))


def issuer(name):
    """Ids that count up, with their reset tokens."""
    numbers = count(1)

    def issue():
        number = next(numbers)
        return b"%s-%03d" % (name, number), b"reset-token-%04d" % number

    return issue


def connect(
    role, config=None, *, rng=None, now=0.0, validated=True, peer_config=None, spare_ids=False
):
    """One end of a connection whose other end is made alike."""
    config = config or HopConfig()
    rng = rng or random.Random(1)
    is_client = role is Role.CLIENT
    return Connection(
        role=role,
        local_cid=CLIENT_CID if is_client else SERVER_CID,
        remote_cid=SERVER_CID if is_client else CLIENT_CID,
        handshake=HandshakeResult(
            peer=(peer_config or config).parameters(RESET_TOKEN if is_client else None),
            keys=keys_of(role, MODE["now"]),
        ),
        path=SERVER if is_client else CLIENT,
        config=config,
        random_bytes=rng.randbytes,
        now=now,
        validated=validated,
        issue_cid=issuer(b"clnt" if is_client else b"serv") if spare_ids else lambda: None,
    )


class End:
    """One connection and what its owner sees of it."""

    def __init__(self, connection, address):
        self.connection = connection
        self.address = address
        self.received = []
        self.acked = []
        self.sent_datagrams = []
        self.refuse = lambda packet: False
        self.bulk_held = None
        """Bytes of bulk bodies that the owner keeps; None: it disposes of them at once."""


class Pair:
    """Two ends; ``run`` moves time from event to event."""

    def __init__(
        self,
        seed=0,
        *,
        loss=0.0,
        duplicate=0.0,
        reorder=0.0,
        delay=0.02,
        config=None,
        spare_ids=False,
    ):
        self.rng = random.Random(seed)
        self.loss, self.duplicate, self.reorder, self.delay = loss, duplicate, reorder, delay
        self.now = 100.0
        rng = random.Random(seed + 1)
        more = {"rng": rng, "now": self.now, "spare_ids": spare_ids}
        self.client = End(connect(Role.CLIENT, config, **more), CLIENT)
        self.server = End(connect(Role.SERVER, config, **more), SERVER)
        self.ends = (self.client, self.server)
        self.client.connection.ping()  # as after a handshake
        self.drop = lambda end, datagram: False
        self.seen = []
        """What an onlooker sees of each datagram: (connection id, where from, where to)."""
        self._events = []
        self._order = count()
        self.turns = 0

    def send(self, end, body, tag=None, *, bulk=False):
        """Queue one frame; it leaves with the next flush."""
        end.connection.send_frame(body, tag, self.now, bulk=bulk)

    def keep_bulk(self, end):
        """From now on this end's owner keeps what it gets, until :meth:`dispose`."""
        end.bulk_held = 0

    def dispose(self, end):
        """The owner is done with all it has."""
        end.bulk_held = 0
        end.connection.hold(0)

    def flush(self):
        """Drain both ends' outputs into the network."""
        for end in self.ends:
            for datagram, path in end.connection.datagrams_to_send(self.now):
                end.sent_datagrams.append((self.now, datagram, path))
                self.seen.append((datagram[1:9], end.address, path))
                self._transmit(end, datagram, path)
            end.acked += end.connection.acked_tags()

    def _transmit(self, end, datagram, path):
        if self.drop(end, datagram) or self.rng.random() < self.loss:
            return
        copies = 2 if self.rng.random() < self.duplicate else 1
        for _ in range(copies):
            delay = self.delay * (3 if self.rng.random() < self.reorder else 1)
            event = (self.now + delay, next(self._order), path, datagram, end.address)
            heapq.heappush(self._events, event)

    def deliver(self, end, datagram, source):
        """Give one datagram to one end."""
        packet = end.connection.receive_packet(datagram, source, self.now)
        if packet is None:
            return
        if end.refuse(packet):
            end.connection.refuse("refused by the test")
            return
        end.received += packet.frames
        end.connection.take(packet, self.now)
        if end.bulk_held is not None and packet.bulk:
            end.bulk_held += sum(map(len, packet.frames[-packet.bulk :]))
            end.connection.hold(end.bulk_held)

    def step(self, limit):
        """Go on to the next event, at most to ``limit``; False if there is none before it."""
        self.flush()
        timeouts = [end.connection.next_timeout() for end in self.ends]
        times = [t for t in timeouts if t is not None] + [e[0] for e in self._events[:1]]
        if not times or min(times) > limit:
            self.now = max(self.now, limit)
            return False
        self.turns += 1
        self.now = max(self.now, *([min(times)] * 2))
        while self._events and self._events[0][0] <= self.now:
            _, _, path, datagram, source = heapq.heappop(self._events)
            for end in self.ends:
                if end.address == path:
                    self.deliver(end, datagram, source)
        for end in self.ends:
            end.connection.handle_timeout(self.now)
        self.flush()
        return True

    def run(self, seconds):
        """Let virtual time pass."""
        limit = self.now + seconds
        while self.step(limit):
            pass

    def run_until(self, done, seconds=600.0):
        """Let virtual time pass until ``done()``; fails if that takes too long."""
        limit = self.now + seconds
        while not done():
            assert self.step(limit), f"not done after {seconds} s of virtual time"

    @property
    def open(self):
        return all(end.connection.state is ConnectionState.OPEN for end in self.ends)
