"""Nodes, and peers that say what a test tells them to, on a network that loses only on order."""

import heapq
import random
from itertools import count

from tests.settings import settings
from udpim.config import ClientConfig, ServerConfig
from udpim.crypto.protection import PlaintextProtection
from udpim.crypto.tokens import AddressTokens, ConnectionIdIssuer
from udpim.hop.codes import ConnectionState
from udpim.hop.config import HopConfig
from udpim.hop.dial import Dialer
from udpim.hop.listen import Listener
from udpim.model import StreamId
from udpim.node import events as ev
from udpim.node.client import ClientNode
from udpim.node.effects import Authenticate, AuthorizeGroup, MaySee, NotifyOffline
from udpim.node.server import ServerNode
from udpim.store.executor import EffectExecutor
from udpim.store.memory import MemoryStore
from udpim.wire import im_codec
from udpim.wire import im_packets as p
from udpim.wire.frames import encode_ack
from udpim.wire.im_codec import encode_section
from udpim.wire.packet import VERSION, destination_cid, encode_short_header, is_long

SERVER = ("192.0.2.1", 9000)
DELAY_S = 0.01
HOP = HopConfig(grease_packets_max=0)


class DurableStore(MemoryStore):
    """Says of itself that a crash cannot take anything, and completes when it is told to."""

    durable = True

    def __init__(self, state=None):
        super().__init__(state)
        self.held = False
        self.fail = None
        self.fail_next = None

    def completed(self):
        if self.held:
            return []
        done = super().completed()
        if done and self.fail_next is not None:
            done[0] = done[0]._replace(error=self.fail_next)
            self.fail_next = None
        if self.fail is not None:
            done = [c._replace(error=self.fail) for c in done]
        return done


class Net:
    """Everything that can be reached, and the time."""

    def __init__(self, seed=1):
        self.rng = random.Random(seed)
        self.now = 0.0
        self.hosts = {}
        self.queue = []
        self.order = count()
        self.drop = lambda source, to, data: False

    def add(self, address, host):
        self.hosts[address] = host
        return host

    def server(self, store=None, **config):
        return self.add(SERVER, ServerHost(self, store or DurableStore(), config))

    def client(self, user, device="d", store=None, **config):
        host = ClientHost(self, user, device, store, config)
        return self.add(host.address, host)

    def raw_client(self, name="raw"):
        return self.add((name, 1), RawClient(self, (name, 1)))

    def raw_server(self):
        return self.add(SERVER, RawServer(self))

    def flush(self):
        for address, host in list(self.hosts.items()):
            for data, to in host.drain():
                if to in self.hosts and not self.drop(address, to, data):
                    when = self.now + DELAY_S
                    heapq.heappush(self.queue, (when, next(self.order), to, data, address))

    def run(self, seconds=1.0):
        """Let time pass, from event to event."""
        limit = self.now + seconds
        self.flush()
        while True:
            times = [t for h in self.hosts.values() if (t := h.next_timeout()) is not None]
            times += [entry[0] for entry in self.queue[:1]]
            if not times or min(times) > limit:
                break
            self.now = max(self.now, min(times))
            while self.queue and self.queue[0][0] <= self.now:
                _, _, to, data, source = heapq.heappop(self.queue)
                self.hosts[to].receive(data, source)
            for host in list(self.hosts.values()):
                due = host.next_timeout()
                if due is not None and due <= self.now:
                    host.timeout()
            self.flush()
        self.now = limit


class Host:
    """A node with its store, drained after every input."""

    def start(self, node, store, handlers=None):
        self.node, self.store, self.events = node, store, []
        self.executor = EffectExecutor(node, store, handlers)

    def receive(self, data, source):
        self.node.receive_datagrams([(data, source)], self.net.now)
        self.settle()

    def timeout(self):
        self.node.handle_timeout(self.net.now)
        self.settle()

    def next_timeout(self):
        return self.node.next_timeout()

    def settle(self):
        self.executor.settle(self.net.now)
        while (event := self.node.next_event()) is not None:
            self.on_event(event)

    def on_event(self, event):
        self.events.append(event)

    def drain(self):
        self.settle()
        out = self.node.datagrams_to_send(self.net.now)
        self.settle()
        assert all(len(data) <= 1200 for data, _ in out)
        return out

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


class ServerHost(Host):
    """A server node; `verdict` is its authenticate hook."""

    def __init__(self, net, store, config):
        self.net, self.config = net, config
        self.known = set()
        self.absent = []
        self.verdict = lambda endpoint, secret: None
        self.unanswered = []
        self.hold_logins = False
        self.may_see = lambda endpoint, subject: True
        self.unseen = []
        self.hold_presence = False
        self.handlers = {
            Authenticate: self._ask,
            MaySee: self._may_see,
            AuthorizeGroup: self._authorize,
            NotifyOffline: self.absent.append,
        }
        self.boot(store)

    def boot(self, store):
        self.node = ServerNode(
            settings(ServerConfig, **self.config),
            store.load_server(),
            durable=store.durable,
            random_bytes=self.net.rng.randbytes,
            known_user=lambda user: user in self.known,
            hop_config=HOP,
        )
        self.start(self.node, store, self.handlers)

    def restart(self, state=None):
        """The process dies; another one goes on with its disk (or with ``state``)."""
        self.boot(DurableStore(state or self.store.state))

    def _ask(self, effect):
        self.unanswered.append(effect)
        if not self.hold_logins:
            self.answer()

    def _authorize(self, effect):
        self.node.on_group_authorized(effect.token, effect.allowed, self.net.now)

    def answer(self):
        for effect in self.unanswered:
            words = self.verdict(effect.endpoint, effect.secret)
            self.node.on_authenticated(effect.token, words, self.net.now)
        self.unanswered.clear()

    def _may_see(self, effect):
        self.unseen.append(effect)
        if not self.hold_presence:
            self.answer_presence()

    def answer_presence(self):
        effects, self.unseen = self.unseen, []
        for effect in effects:
            allowed = self.may_see(effect.endpoint, effect.subject)
            self.node.on_may_see(effect.token, self.net.now, allowed=allowed)


class ClientHost(Host):
    """A client node whose application handles what it gets, unless told otherwise."""

    def __init__(self, net, user, device, store, config):
        self.net, self.address = net, (f"{user}-{device}", 1)
        self.config = settings(ClientConfig, user=user, device=device, **config)
        self.got, self.states = [], {}
        self.handles = True
        self.boot(store or DurableStore())

    def boot(self, store):
        node = ClientNode(
            self.config,
            store.load_client(),
            durable=store.durable,
            random_bytes=self.net.rng.randbytes,
            now=self.net.now,
            hop_config=HOP,
        )
        self.start(node, store)

    def restart(self, state=None):
        self.boot(DurableStore(state or self.store.state))
        self.connect()

    def connect(self):
        self.node.connect(SERVER, self.net.now)

    def online(self):
        self.connect()
        self.net.run(1.0)
        return self

    def send(self, to, *payloads, **more):
        return self.node.send_messages(to, payloads, now=self.net.now, wall_ms=0, **more)

    def on_event(self, event):
        super().on_event(event)
        if isinstance(event, ev.ReceiptsChanged):
            for change in event.changes:
                for seq in range(change.first, change.last + 1):
                    self.states[change.stream.id, seq] = change.state.name
        if isinstance(event, ev.MessagesReleased):
            for run in event.runs:
                for seq, _, payload in run.messages:
                    self.got.append(payload)
                    if self.handles:
                        self.node.handled(run.stream, seq, len(payload))

    def shown(self):
        return list(self.states.values())

    def by_seq(self):
        """The same, in the order in which they were sent."""
        return [self.states[key] for key in sorted(self.states)]

    def links(self):
        return [event.state.name for event in self.of(ev.LinkChanged)]


class Raw:
    """One hop connection whose owner is the test."""

    def __init__(self, net):
        self.net = net
        self.connection = None
        self.packets = []
        self.takes = True

    def send(self, *packets, together=True):
        for packet in packets:
            body = packet if isinstance(packet, bytes) else im_codec.encode(packet)
            if isinstance(packet, p.SIGNALS):
                self.connection.send_datagram(body, self.net.now)
            else:
                bulk = isinstance(packet, p.PAYLOADS)
                self.connection.send_frame(body, None, self.net.now, bulk=bulk)
            if not together:
                self.net.run(0.1)

    def take(self, data, source):
        incoming = self.connection.receive_packet(data, source, self.net.now)
        if incoming is not None and self.takes:
            bodies = incoming.frames + incoming.datagrams
            self.packets += [im_codec.decode(body) for body in bodies]
            self.connection.take(incoming, self.net.now)

    def timeout(self):
        if self.connection is not None:
            self.connection.handle_timeout(self.net.now)

    def next_timeout(self):
        return None if self.connection is None else self.connection.next_timeout()

    def connection_datagrams(self):
        return [] if self.connection is None else self.connection.datagrams_to_send(self.net.now)

    def of(self, kind):
        return [packet for packet in self.packets if isinstance(packet, kind)]

    def optimistic_ack(self):
        """A packet that acks what was never sent."""
        flags = VERSION
        header = encode_short_header(flags, self.connection.remote_cid, 5000)
        payload = encode_ack(9999, 0, 0, 0).ljust(16, b"\0")
        return header + PlaintextProtection().seal(header, 5000, payload)

    @property
    def open(self):
        return self.connection.state is ConnectionState.OPEN


class RawClient(Raw):
    """Dials a server and then says what the test wants."""

    def __init__(self, net, address):
        super().__init__(net)
        self.address = address
        self.dialer = Dialer(server=SERVER, config=HOP, random_bytes=net.rng.randbytes, now=net.now)

    def receive(self, data, source):
        if self.connection is None:
            self.dialer.receive_datagram(data, source, self.net.now)
            self.connection = self.dialer.connection
        else:
            self.take(data, source)

    def drain(self):
        if self.connection is None:
            return self.dialer.datagrams_to_send(self.net.now)
        return self.connection_datagrams()


class RawServer(Raw):
    """Accepts the last client that dials and says what the test wants."""

    def __init__(self, net):
        super().__init__(net)
        self.connections = {}
        self.issuer = ConnectionIdIssuer(b"s" * 32, 0)
        self.listener = Listener(
            config=HOP,
            issuer=self.issuer,
            tokens=AddressTokens(b"s" * 32),
            random_bytes=net.rng.randbytes,
        )

    def receive(self, data, source):
        if not is_long(data) and destination_cid(data) in self.connections:
            self.take(data, source)
            return
        connection = self.listener.receive_datagram(data, source, self.net.now, self.connections)
        if connection is not None:
            self.connection = connection
            self.connections[connection.local_cid] = connection

    def drain(self):
        return self.listener.datagrams_to_send(self.net.now) + self.connection_datagrams()


ME = StreamId("", "", 1 << 63, "bob")
STREAM = ME._replace(user="zoe", device="z")


def login(user="zoe", device="z", incarnation=1 << 63, count=1, token=b""):
    return p.Login(user, device, token, incarnation, count)


def msg(first, *payloads, handle=1, name=ME, epoch=1, floor=1):
    section = encode_section(first, [0] * len(payloads), list(payloads))
    return p.MsgR(handle, name, floor, (p.EpochRun(1, epoch),), 0, section)


def dialled(net, name="raw"):
    raw = net.raw_client(name)
    net.run(0.2)
    assert raw.open
    return raw


def logged_in(net, user="zoe", device="z", **more):
    raw = dialled(net, user + device)
    raw.send(login(user, device, **more))
    net.run(0.2)
    assert 1 == len(raw.of(p.LoginOk)), raw.packets
    raw.packets.clear()
    return raw
