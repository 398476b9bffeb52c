"""Nodes on a network in memory, for the client's tests: virtual time, scripted loss, no sockets.

A `Net` moves time from event to event. On it live `Server` and `Client` (nodes under the effect
executor, with a store that can be held back or fail) and, to play a hostile or broken server,
`RawServer`: only the hop, and IM packets as the test likes.
"""

import heapq
import random
from itertools import count

from tests.settings import settings
from udpim.config import ClientConfig, ServerConfig
from udpim.crypto.tokens import AddressTokens, ConnectionIdIssuer
from udpim.errors import StoreError
from udpim.hop.config import HopConfig
from udpim.hop.listen import Listener
from udpim.im.out_stream import OutStream
from udpim.model import Endpoint, StreamId
from udpim.node import effects as fx
from udpim.node import events as ev
from udpim.node.client import ClientNode
from udpim.node.server import ServerNode
from udpim.node.state import LinkState
from udpim.store.executor import EffectExecutor
from udpim.store.memory import MemoryStore
from udpim.store.state import StoreState
from udpim.wire import im_codec
from udpim.wire import im_packets as p
from udpim.wire.packet import is_long

SERVER = ("192.0.2.1", 9000)
DELAY_S = 0.01
TURNS_MAX = 100
"""Turns of one peer in one instant; more is a node that never comes to rest."""


class Net:
    """The network and its clock. ``drop(source, destination, data)`` loses datagrams."""

    def __init__(self, seed=1):
        self.rng = random.Random(seed)
        self.now = 100.0
        self.peers = {}
        self.drop = lambda source, destination, data: False
        self.sent = []
        self._flying = []
        self._order = count()

    def flush(self):
        """Let every peer say all it has to say now."""
        for peer in list(self.peers.values()):
            for turn in count():
                assert turn < TURNS_MAX, f"{peer.address} does not come to rest"
                datagrams = peer.turn(self.now)
                for data, destination in datagrams:
                    self.transmit(peer.address, destination, data)
                if not datagrams:
                    break

    def transmit(self, source, destination, data):
        self.sent.append((source, destination, data))
        if not self.drop(source, destination, data):
            arrival = (self.now + DELAY_S, next(self._order), destination, data, source)
            heapq.heappush(self._flying, arrival)

    def step(self, limit):
        """Go to the next event, at most to ``limit``; tell whether there was one."""
        self.flush()
        timeouts = [peer.next_timeout() for peer in self.peers.values()]
        times = [t for t in timeouts if t is not None] + [e[0] for e in self._flying[:1]]
        if not times or min(times) > limit:
            self.now = limit
            return False
        self.now = max(self.now, min(times))
        bursts = {}
        while self._flying and self._flying[0][0] <= self.now:
            _, _, destination, data, source = heapq.heappop(self._flying)
            bursts.setdefault(destination, []).append((data, source))
        for destination, burst in bursts.items():
            if destination in self.peers:
                self.peers[destination].receive(burst, self.now)
        for peer in list(self.peers.values()):
            when = peer.next_timeout()
            if when is not None and when <= self.now:
                peer.handle_timeout(self.now)
        self.flush()
        return True

    def run(self, seconds):
        limit = self.now + seconds
        while self.step(limit):
            pass

    def until(self, done, seconds=60.0):
        """Let time pass until ``done()``; fail if that takes too long."""
        limit = self.now + seconds
        self.flush()
        while not done():
            assert self.step(limit), f"not done after {seconds} s of virtual time"


class Store(MemoryStore):
    """A store in memory that can pose as durable, be held back, and fail."""

    def __init__(self, state, *, durable=True):
        super().__init__(state)
        self.durable = durable
        self.held = None
        """None: everything completes at once; else what waits for `release`."""
        self.fails = False

    def hold(self):
        self.held = []

    def release(self):
        held, self.held = self.held, None
        for token, ops in held:
            self.submit(token, ops)

    def submit(self, token, ops):
        if self.held is not None:
            self.held.append((token, ops))
        elif self.fails:
            error = StoreError(self.path, "no space left")
            self._completions.append((token, error, ()))
        else:
            super().submit(token, ops)


class Process:
    """A node under its executor, and what it told its surroundings."""

    def __init__(self, net, address, store):
        self.net, self.address, self.store = net, address, store
        self.events = []
        net.peers[address] = self

    def run_node(self, node):
        self.node = node
        self.executor = EffectExecutor(node, self.store, self.handlers())

    def handlers(self):
        return {}

    def receive(self, burst, now):
        self.node.receive_datagrams(burst, now)

    def handle_timeout(self, now):
        self.node.handle_timeout(now)

    def next_timeout(self):
        return self.node.next_timeout()

    def turn(self, now):
        self.executor.settle(now)
        out = self.node.datagrams_to_send(now)
        while (event := self.node.next_event()) is not None:
            self.events.append(event)
            self.on_event(event)
        return out

    def on_event(self, event):
        pass

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def hop_drops(self):
        return self.node.hop_totals().drops


class Server(Process):
    """A server node. ``verdict(effect)`` answers logins: None, a refusal, or "wait"."""

    def __init__(self, net, *, state=None, durable=True, hop=None, **limits):
        super().__init__(net, SERVER, Store(state or StoreState(), durable=durable))
        self.verdict = lambda effect: None
        self.may_change = lambda effect: effect.allowed
        self.busy = False
        self.asked = []
        self.notices = []
        self.config = settings(ServerConfig, **limits)
        self.hop = hop
        self.start()

    def start(self):
        """Run a new node on what the store holds: the first one, or after a crash."""
        node = ServerNode(
            self.config,
            self.store.load_server(),
            durable=self.store.durable,
            random_bytes=self.net.rng.randbytes,
            known_user=lambda user: False,
            hop_config=self.hop,
        )
        self.run_node(node)

    def handlers(self):
        return {
            fx.Authenticate: self.authenticate,
            fx.AuthorizeGroup: self.authorize,
            fx.NotifyOffline: self.notices.append,
        }

    def authenticate(self, effect):
        self.asked.append(effect)
        verdict = self.verdict(effect)
        if verdict != "wait":
            self.node.on_authenticated(effect.token, verdict, self.net.now, busy=self.busy)

    def authorize(self, effect):
        self.asked.append(effect)
        verdict = self.may_change(effect)
        if verdict != "wait":
            self.node.on_group_authorized(effect.token, verdict, self.net.now)

    @property
    def sessions(self):
        return {str(endpoint) for endpoint in self.node.router.sessions}


_ports = count(40_000)


class Client(Process):
    """A client node; what arrives is handled at once unless ``handling`` is off."""

    def __init__(self, net, who="alice/phone", *, state=None, durable=True, hop=None, **config):
        address = ("198.51.100.1", next(_ports))
        super().__init__(net, address, Store(state or StoreState(), durable=durable))
        user, device = who.split("/")
        self.config = settings(ClientConfig, user=user, device=device, **config)
        self.hop = hop
        self.handling = True
        self.received = []
        node = ClientNode(
            self.config,
            self.store.load_client(),
            durable=durable,
            random_bytes=net.rng.randbytes,
            now=net.now,
            hop_config=hop,
        )
        self.run_node(node)

    def dial(self):
        self.node.connect(SERVER, self.net.now)
        return self

    def login(self):
        self.dial()
        self.net.until(lambda: self.online)
        return self

    def send(self, to, *payloads, **more) -> tuple[OutStream, int]:
        more.setdefault("wall_ms", 0)
        return self.node.send_messages(to, payloads, now=self.net.now, **more)

    def on_event(self, event):
        if isinstance(event, ev.MessagesReleased):
            for run in event.runs:
                for seq, _, payload in run.messages:
                    self.received.append(payload)
                    if self.handling:
                        self.node.handled(run.stream, seq, len(payload))

    def move(self, address, *, knows=True):
        """Go on from another address; a NAT does that without the node's knowledge."""
        del self.net.peers[self.address]
        self.address = address
        self.net.peers[address] = self
        if knows:
            self.node.rebound(self.net.now)

    @property
    def online(self):
        return self.node.state is LinkState.ONLINE

    @property
    def links(self):
        return [(event.state.name, event.code) for event in self.of(ev.LinkChanged)]

    def last_link(self):
        return self.of(ev.LinkChanged)[-1]


class RawServer:
    """The hop of a server, and a test in the place of its node."""

    def __init__(self, net, *, hop=None, welcome=True):
        self.net, self.address = net, SERVER
        self.config = hop or HopConfig()
        self.secret = net.rng.randbytes(32)
        self.welcome = welcome
        self.mute = False
        """Takes datagrams and says nothing."""
        self.connections = {}
        self.got = []
        self._new()
        net.peers[SERVER] = self

    def _new(self):
        self.listener = Listener(
            config=self.config,
            issuer=ConnectionIdIssuer(self.secret, 0),
            tokens=AddressTokens(self.secret),
            random_bytes=self.net.rng.randbytes,
        )

    def forget(self):
        """Crash and come back without any connection."""
        self.connections = {}
        self._new()

    @property
    def last(self):
        """The connection that was opened last."""
        return list(self.connections.values())[-1]

    def receive(self, burst, now):
        for data, path in burst:
            connection = None if is_long(data) else self.connections.get(data[1:9])
            if connection is None:
                new = self.listener.receive_datagram(data, path, now, self.connections)
                if new is not None:
                    self.connections[new.local_cid] = new
                continue
            packet = connection.receive_packet(data, path, now)
            if packet is not None:
                connection.take(packet, now)
                self.got += map(im_codec.decode, packet.frames)
                for body in packet.frames:
                    if self.welcome and isinstance(im_codec.decode(body), p.Login):
                        self.say(p.LoginOk(7, True, False, 1000, 1024))

    def say(self, *packets):
        """Send IM packets or raw bodies on the newest connection, all in one hop packet."""
        for packet in packets:
            body = packet if isinstance(packet, bytes) else im_codec.encode(packet)
            bulk = isinstance(packet, p.PAYLOADS)
            self.last.send_frame(body, None, self.net.now, bulk=bulk)

    def turn(self, now):
        out = self.listener.datagrams_to_send(now)
        for connection in self.connections.values():
            out += connection.datagrams_to_send(now)
        return [] if self.mute else out

    def handle_timeout(self, now):
        for connection in self.connections.values():
            connection.handle_timeout(now)

    def next_timeout(self):
        times = [connection.next_timeout() for connection in self.connections.values()]
        return min((t for t in times if t is not None), default=None)


def endpoint(who):
    return Endpoint(*who.split("/"))


def section(first, *payloads):
    return im_codec.encode_section(first, [0] * len(payloads), list(payloads))


BOB = StreamId("bob", "phone", 2**63 | 4, "alice")


def with_raw_server(*, online=True, hop=None, **config):
    net = Net()
    raw = RawServer(net, hop=hop, welcome=online)
    client = Client(net, **config).dial()
    wanted = LinkState.ONLINE if online else LinkState.LOGGING_IN
    net.until(lambda: client.node.state is wanted)
    net.run(0.5)
    return net, raw, client


def message(seq=1, *payloads, name=BOB, handle=1):
    return p.MsgN(handle, name, 1, 1, section(seq, *(payloads or (b"hi",))))
