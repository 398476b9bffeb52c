"""One connection between two neighbours: packets in, reliable frames out, and the reverse.

The composer of the hop layer: the leaves know windows, acks, loss, congestion and paths, this
class decides in which order they hear of things. In the flow it stands between the endpoint
(datagrams) and :mod:`udpim.node` (frames). Hot module.

Contract: one input or command, then drain all outputs, then the next. A packet that
``receive_packet`` returned is either taken or refused before the next one is received. Peer
bytes never raise; what is dropped is counted by reason in ``drops``.

Specification: PROTOCOL §2.2 and §3; semantics R10.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest

from udpim.crypto.handshake import HandshakeResult
from udpim.errors import DecodeError, LocalProtocolError
from udpim.hop import paths
from udpim.hop.acks import AckScheduler
from udpim.hop.bindings import Bindings
from udpim.hop.cids import IssueCid, LocalIds, RemoteIds
from udpim.hop.codes import Address, CloseCode, CloseInfo, CloseKind, ConnectionState, Role
from udpim.hop.config import HopConfig
from udpim.hop.finish import Finish
from udpim.hop.gauges import Gauges
from udpim.hop.grease import Grease
from udpim.hop.intake import IncomingPacket, Intake
from udpim.hop.nat import IDLE_PARTS, keepalive_s
from udpim.hop.path import PathValidator
from udpim.hop.recovery import Recovery
from udpim.hop.rtt import RttEstimator
from udpim.hop.sealing import sealing_for
from udpim.hop.sendqueue import OutgoingFrame
from udpim.hop.skips import Skips
from udpim.hop.stats import HopStats
from udpim.hop.timers import Timer, TimerTable
from udpim.wire import frames as wire
from udpim.wire.packet import SHORT_BYTES_MIN, SHORT_HEADER_BYTES
from udpim.wire.packet_number import expand

TAG_BYTES_MAX = 16
"""Room left for the tag whatever the protection, so that a body's limit never changes."""
CLOSING_PTOS = 3
"""RFC 9000 §10.2: how long a closed connection still answers."""
_PING = bytes((wire.PING,))


class Connection(Gauges):
    """One end of a connection: give it packets, frames and the time; drain what it wants sent."""

    def __init__(
        self,
        *,
        role: Role,
        local_cid: bytes,
        remote_cid: bytes,
        handshake: HandshakeResult,
        path: Address,
        config: HopConfig,
        random_bytes: Callable[[int], bytes],
        now: float,
        validated: bool,
        issue_cid: IssueCid = lambda: None,
    ) -> None:
        """Start an open connection.

        Args:
            role: Which end this is; the client keeps the path alive.
            local_cid: The id that the peer's packets carry.
            remote_cid: The id that our packets carry.
            handshake: What it has left behind: the peer's parameters, and the keys.
            path: The peer's address.
            config: Our limits; the peer knows those that concern it.
            random_bytes: Source of challenges and grease.
            now: The time, monotonic seconds.
            validated: Whether the peer has proven its address; we are silent before it has.
            issue_cid: Draws further ids for the peer's packets, see :attr:`local_cids`.
        """
        self.role, self.local_cid = role, local_cid
        self.parameters = parameters = handshake.peer
        self.peer_static, self.channel_binding = handshake.peer_static, handshake.channel_binding
        """The peer's lasting public key, and what names this connection alone; or None."""
        self.drops: dict[str, int] = {}
        """Packets dropped, by reason."""
        self.validated, self.stats = validated, HopStats()
        self._random_bytes = random_bytes
        self._timers = TimerTable()
        trace = config.trace and config.trace(role.value, local_cid)
        self._sealing = sealing_for(handshake.keys, config, self._timers, self.stats, trace)
        self._finish = Finish(handshake.finish, self.stats)
        self._around_bytes = SHORT_HEADER_BYTES + self._sealing.tag_bytes
        # Any packet from a new address pays for a challenge to it.
        self._pad_to = max(SHORT_BYTES_MIN - self._around_bytes, 1 + wire.CHALLENGE_BYTES)
        datagram_bytes = min(config.max_datagram_bytes, parameters.max_datagram_bytes)
        self._room = datagram_bytes - SHORT_HEADER_BYTES - TAG_BYTES_MAX
        self._idle_s = min(config.idle_timeout_s, parameters.idle_timeout_s)
        self.keepalive_s = min(config.keepalive_s, self._idle_s / IDLE_PARTS)
        self._state = ConnectionState.OPEN
        self._closed: CloseInfo | None = None
        self._close_due, self._ping_due, self._close_again_at = False, False, 0.0
        self._next_number = first = config.first_packet_number
        self._skips = Skips(first, config.skip_packets_mean, random_bytes)
        self._acks = AckScheduler(config.first_packet_number, config.max_ack_delay_s)
        self._intake = Intake(config, self.stats)
        self._recovery = Recovery(
            config=config,
            parameters=parameters,
            datagram_bytes=datagram_bytes,
            timers=self._timers,
            stats=self.stats,
            room=self._room,
            trace=trace,
        )
        local = LocalIds(local_cid, issue_cid, self._recovery.queue)
        self._paths = self._first_path(path, local, remote_cid)
        self._grease = Grease(config.grease_packets_max, random_bytes)
        # Whoever has a token could open many connections; and FINISH waits no longer than WELCOME.
        waits = role is Role.SERVER or handshake.finish
        self._timers.set(Timer.IDLE, now + (config.handshake_s if waits else self._idle_s))
        self._heard(now)

    def _first_path(self, path: Address, local: LocalIds, remote_cid: bytes) -> paths.Paths:
        token = self.parameters.reset_token
        remote = RemoteIds(remote_cid, token, self._recovery.queue, self.stats)
        alone_bytes = self._around_bytes + self._pad_to
        validator = PathValidator(path, self._random_bytes, alone_bytes, remote)
        bindings = Bindings(self._recovery.queue)
        moved = self._path_changed
        return paths.Paths(self.role, validator, local, remote, bindings, moved=moved)

    # Inputs.

    def receive_packet(self, datagram: bytes, path: Address, now: float) -> IncomingPacket | None:
        """Open and parse a short packet; changes nothing but ``drops`` and keys.

        Args:
            datagram: The whole UDP payload.
            path: Where it came from.
            now: The time.

        Returns:
            The packet, to be given to :meth:`take` or answered with :meth:`refuse`; None if it
            was dropped.
        """
        try:
            return self._read(datagram, path)
        except DecodeError as error:
            self._drop(str(error))
            return None

    def take(self, packet: IncomingPacket, now: float) -> None:
        """The owner accepted every frame of the packet: it counts as received.

        Args:
            packet: What :meth:`receive_packet` returned.
            now: The time.
        """
        if self._state is ConnectionState.CLOSED:
            return
        self._finish.answered()
        newest = packet.number > self._acks.window.top
        self._acks.on_taken(packet.number, ack_eliciting=packet.ack_eliciting, now=now)
        self.stats.datagrams_received += 1
        self.stats.bytes_received += packet.size
        if self._state is ConnectionState.CLOSING:
            self._answer_while_closing(packet, now)
            return
        self._intake.take(packet)
        self.stats.frames_received += len(packet.hop_seqs)
        self.stats.datagram_frames_received += len(packet.datagrams)
        if packet.aside:  # it says nothing about the path
            return
        self._paths.on_taken(packet, newest=newest)
        if packet.path == self._paths.current:
            self.validated = True
        if self.validated:  # wherever it came from: a faster copy of it must not end us
            self._timers.set(Timer.IDLE, now + self._idle_s)
        self._heard(now)
        for frame in packet.others:
            self._on_frame(frame, packet.path, now)
            if self._state is not ConnectionState.OPEN:
                return

    def refuse(self, reason: str) -> None:
        """The owner cannot accept a packet: it is dropped whole, neither acked nor marked."""
        self._drop(reason)

    def receive_reset(self, token: bytes, now: float) -> bool:
        """A RESET for ``remote_cid`` arrived; True if its token is right, which ends it."""
        known = self._paths.remote.current.reset_token
        if known is None or not compare_digest(token, known):
            self._drop("wrong reset token")
            return False
        self.stats.resets_received += 1
        self._end(CloseCode.RESET, "the peer has forgotten the connection", CloseKind.RESET)
        return True

    def handle_timeout(self, now: float) -> None:
        """Do what is due; early or twice is harmless."""
        due = self._timers.due
        if due(Timer.CLOSING, now):
            self._finished()
        if due(Timer.DEAD, now):
            self._end(CloseCode.DEAD, "nothing was acked for too long", CloseKind.DEAD)
        if due(Timer.IDLE, now):
            self._end(CloseCode.IDLE_TIMEOUT, "nothing was heard for too long", CloseKind.IDLE)
        if self._state is not ConnectionState.OPEN:
            return
        self._recovery.handle_timeout(now)
        if due(Timer.KEEPALIVE, now):
            self._ping_due = True
            self._timers.set(Timer.KEEPALIVE, now + self.keepalive_s)

    # Commands.

    def send_frame(
        self, body: bytes, tag: object | None, now: float, *, bulk: bool = False
    ) -> None:
        """Queue one body to be delivered exactly once.

        Args:
            body: At most ``frame_body_bytes_max`` bytes; bulk: BODY_BYTES_MAX.
            tag: Comes back in :meth:`acked_tags` when the peer has it; None: nobody asks.
            now: The time.
            bulk: It obeys the peer's credit, and anything else goes before it.

        Raises:
            LocalProtocolError: If the connection is not open, or the send queue is full.
        """
        if self._state is not ConnectionState.OPEN:
            raise LocalProtocolError(f"connection is {self._state.value}")
        bytes_max = wire.BODY_BYTES_MAX if bulk else self.frame_body_bytes_max
        assert len(body) <= bytes_max, "a control frame must fit one packet, a bulk body its limit"
        self._recovery.queue.push(body, tag, bulk=bulk)
        self.stats.frames_sent += 1

    def send_datagram(self, body: bytes, now: float) -> None:
        """Queue a body of at most ``frame_body_bytes_max``: it leaves once, soon or never."""
        self._recovery.queue.datagrams.push(body, now)

    def hold(self, bulk_bytes: int) -> None:
        """The owner still has this many bytes of received bulk; the rest is given back as credit.

        Takes effect with :meth:`datagrams_to_send`. Nothing is held until the owner says so.
        """
        self._intake.credit.held = bulk_bytes

    def ping(self) -> None:
        """Ask for an ack with the next packet."""
        self._ping_due = True

    def migrate(self) -> None:
        """Our address is about to be another one: go on there under another id, and say so."""
        if self._state is ConnectionState.OPEN:
            self._paths.leave()

    def keep_bindings(self, life_s: float, now: float) -> None:
        """Say PING often enough for NATs that forget after ``life_s``, and for the idle timeout."""
        self.keepalive_s = keepalive_s(life_s, self._idle_s)
        self._heard(now)

    def packet_aside(self, frame: bytes) -> bytes | None:
        """A packet with one probing frame, for a spare port; None if no id is free for it."""
        cid = self._paths.spare_port_id()
        return None if cid is None else self._packet([frame], cid)

    def close_spare_port(self) -> None:
        """Nothing leaves from the spare port any more."""
        self._paths.close_spare_port()

    def steer(self, frame: bytes) -> None:
        """Send a frame that is no body, again until it is acked; the caller sends few."""
        self._recovery.queue.push_steering(frame)

    def close(self, code: int, reason: str, now: float) -> None:
        """Say CLOSE and stop; what is queued or in flight is not delivered any more."""
        self._close(code, reason, now, CloseKind.CLOSED)

    # Outputs.

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Address]]:
        """Everything that may leave now, as (datagram, where to)."""
        if self._state is not ConnectionState.OPEN:
            return self._closing_datagrams(now)
        limit_reached = self._sealing.tend(now, self._recovery.pto_s)
        if limit_reached is not None:
            self.close(CloseCode.KEYS_USED_UP, limit_reached, now)
            return self._closing_datagrams(now)
        path = self._paths.current
        out: list[tuple[bytes, Address]] = []
        for frame, address, cid in self._paths.frames_to_send(now):
            out.append((self._packet([frame], cid), address))
        if not self.validated:
            return out
        self._paths.offer_ids()
        limit = self._intake.credit_due()
        if limit is not None:
            self._recovery.queue.push_credit(limit)
        goes_out = self._ping_due or self._recovery.wants_to_send(now)
        parts = self._acks.frames_to_send(now, data_goes_out=goes_out)
        self.stats.acks_sent += len(parts)
        tracked = False
        while (goes_out or parts) and not self._sealing.spent:
            room = self._room - sum(map(len, parts)) if parts else self._room
            frames, ping = self._recovery.fill(parts, room, self._next_number, now)
            if frames:
                self._ping_due = False
            elif ping or self._ping_due:
                self._ping_due, ping = False, True
                parts.append(_PING)
            elif not parts:
                break
            if frames or ping:
                out.append((self._tracked_packet(parts, frames, now), path))
                tracked = True
            else:
                out.append((self._packet(parts, self.remote_cid), path))
            parts, goes_out = [], True  # until there is nothing left
        if tracked:
            self._finish.put_before(out, path, now, self._recovery.pto_s)
        self._timers.set(Timer.ACK, self._acks.deadline)
        self._recovery.arm(now)
        return out

    def acked_tags(self) -> list[object]:
        """Tags of the frames that the peer has, since the last call, in the order of acking."""
        return self._recovery.queue.acked_tags()

    def unacked_tags(self) -> list[object]:
        """Tags of all frames queued or in flight, oldest first."""
        return self._recovery.queue.unacked_tags()

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` and then :meth:`datagrams_to_send` want to be called."""
        return self._timers.next()

    # Properties.

    @property
    def state(self) -> ConnectionState:
        """OPEN, CLOSING or CLOSED."""
        return self._state

    @property
    def closed(self) -> CloseInfo | None:
        """How the connection ended; None while it is open."""
        return self._closed

    @property
    def local_cids(self) -> tuple[bytes, ...]:
        """The ids of the peer's packets; another tuple after each change, for who looks them up."""
        return self._paths.local.active

    @property
    def remote_cid(self) -> bytes:
        """The id that our packets carry now."""
        return self._paths.remote.current.cid

    @property
    def path(self) -> Address:
        """The peer's address."""
        return self._paths.current

    @property
    def rtt(self) -> RttEstimator:
        """The round-trip time estimate of the current path."""
        return self._recovery.rtt

    @property
    def frame_body_bytes_max(self) -> int:
        """The largest body that :meth:`send_frame` takes if it is not bulk."""
        return self._recovery.queue.body_bytes_max

    # Private: receiving.

    def _read(self, datagram: bytes, path: Address) -> IncomingPacket:
        """The packet in a datagram; raises DecodeError with the reason to drop it."""
        if self._state is ConnectionState.CLOSED:
            raise DecodeError("closed")
        header, cid, truncated = self._sealing.read_header(datagram)
        if cid not in self._paths.local.active:
            raise DecodeError("wrong connection id")
        window = self._acks.window
        number = expand(truncated, window.top + 1)
        refusal = window.refusal(number)
        if refusal is not None:
            raise DecodeError(refusal)
        payload = self._sealing.open(header, number, datagram)
        if payload is None:
            raise DecodeError("not authentic")
        packet = IncomingPacket(number, path, len(datagram), cid)
        self._intake.read(payload, packet)
        return packet

    def _drop(self, reason: str) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1
        if self._recovery.trace is not None:
            self._recovery.trace.dropped(reason)

    def _heard(self, now: float) -> None:
        if self.role is Role.CLIENT:
            self._timers.set(Timer.KEEPALIVE, now + self.keepalive_s)

    def _on_frame(self, frame: wire.Frame, path: Address, now: float) -> None:
        kind = frame[0]
        if kind == wire.ACK:
            largest = expand(frame[1], self._next_number)
            if largest >= self._next_number or self._skips.named(largest, frame[3]):
                # An optimistic acker would talk the congestion window up.
                words = "ack of a packet that was never sent"
                self._close(CloseCode.PROTOCOL_ERROR, words, now, CloseKind.ERROR)
                return
            delay_s = frame[2] * wire.ACK_DELAY_UNIT_S
            self._sealing.on_acked(largest)
            self._recovery.on_ack(largest, frame[3], frame[4], delay_s, now)
        elif kind == wire.CREDIT:
            self._recovery.queue.on_credit(frame[1])
        elif kind == wire.CLOSE:
            self._closed = CloseInfo(
                code=frame[1], reason=frame[2], by_peer=True, kind=CloseKind.CLOSED
            )
            self._finished()
        elif kind in paths.FRAMES:
            wrong = self._paths.on_frame(frame, path, now)
            if wrong is not None:
                self._close(CloseCode.PROTOCOL_ERROR, wrong, now, CloseKind.ERROR)

    def _path_changed(self, same_host: bool) -> None:
        """The peer is proven to be elsewhere, or we are."""
        self.validated = True
        self.stats.path_changes += 1
        self._recovery.on_path_changed(same_host=same_host)
        # What was acked may have to be acked again, and the peer waits to hear from us here.
        self._ping_due = True

    # Private: sending.

    def _tracked_packet(self, parts: list[bytes], frames: list[OutgoingFrame], now: float) -> bytes:
        """Build an ack-eliciting packet and remember it."""
        self._grease.add(parts, self._room)
        number = self._next_number
        datagram = self._packet(parts, self.remote_cid)
        self._recovery.on_sent(number, len(datagram), frames, now)
        return datagram

    def _packet(self, parts: list[bytes], cid: bytes) -> bytes:
        """Build a packet of these encoded frames under the next packet number."""
        number = self._next_number
        self._next_number = self._skips.after(number)
        payload = b"".join(parts).ljust(self._pad_to, b"\0")
        datagram = self._sealing.seal(cid, number, payload)
        self.stats.datagrams_sent += 1
        self.stats.bytes_sent += len(datagram)
        return datagram

    # Private: the end.

    def _close(self, code: int, reason: str, now: float, kind: CloseKind) -> None:
        if self._state is not ConnectionState.OPEN:
            return
        self._closed = CloseInfo(code=code, reason=reason, by_peer=False, kind=kind)
        if not self.validated:
            self._finished()
            return
        self._state = ConnectionState.CLOSING
        self._close_due = True
        self._timers.clear_all()
        self._timers.set(Timer.CLOSING, now + CLOSING_PTOS * self._recovery.pto_s())

    def _answer_while_closing(self, packet: IncomingPacket, now: float) -> None:
        if any(frame[0] == wire.CLOSE for frame in packet.others):
            self._finished()
        elif now >= self._close_again_at:
            self._close_due = True

    def _closing_datagrams(self, now: float) -> list[tuple[bytes, Address]]:
        if not self._close_due or self._closed is None:
            return []
        self._close_due = False
        self._close_again_at = now + self._recovery.pto_s()
        frame = wire.encode_close(self._closed.code, self._closed.reason)
        return [(self._packet([frame], self.remote_cid), self._paths.current)]

    def _end(self, code: int, reason: str, kind: CloseKind) -> None:
        """End without a word to the peer."""
        by_peer = kind is CloseKind.RESET
        if self._closed is None:
            self._closed = CloseInfo(code=code, reason=reason, by_peer=by_peer, kind=kind)
        self._finished()

    def _finished(self) -> None:
        self._state = ConnectionState.CLOSED
        self._close_due = False
        self._timers.clear_all()
