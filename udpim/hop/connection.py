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
from udpim.hop.acks import AckScheduler
from udpim.hop.codes import Address, CloseCode, CloseInfo, CloseKind, ConnectionState, Role
from udpim.hop.config import HopConfig
from udpim.hop.finish import Finish
from udpim.hop.intake import IncomingPacket, Intake
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


class Connection:
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
            validated: Whether the peer has proven its address. If not, nothing is sent before
                the first valid packet from it.
        """
        self.role = role
        self.local_cid = local_cid
        self.remote_cid = remote_cid
        self.parameters = parameters = handshake.peer
        self.peer_static, self.channel_binding = handshake.peer_static, handshake.channel_binding
        """The peer's lasting public key, and what names this connection alone; or None."""
        self.drops: dict[str, int] = {}
        """Packets dropped, by reason."""
        self.validated = validated
        self.stats = HopStats()
        self._config = config
        self._random_bytes = random_bytes
        self._timers = TimerTable()
        self._sealing = sealing_for(handshake.keys, config, self._timers, self.stats)
        self._finish = Finish(handshake.finish, self.stats)
        self._pad_to = SHORT_BYTES_MIN - SHORT_HEADER_BYTES - self._sealing.tag_bytes
        datagram_bytes = min(config.max_datagram_bytes, parameters.max_datagram_bytes)
        self._room = datagram_bytes - SHORT_HEADER_BYTES - TAG_BYTES_MAX
        self._idle_s = min(config.idle_timeout_s, parameters.idle_timeout_s)
        self._state = ConnectionState.OPEN
        self._closed: CloseInfo | None = None
        self._close_due, self._close_again_at = False, 0.0
        self._next_number = first = config.first_packet_number
        self._skips = Skips(first, config.skip_packets_mean, random_bytes)
        alone_bytes = SHORT_BYTES_MIN + max(0, 1 + wire.CHALLENGE_BYTES - self._pad_to)
        self._paths = PathValidator(path, random_bytes, alone_bytes)
        self._acks = AckScheduler(config.first_packet_number, config.max_ack_delay_s)
        self._intake = Intake(config, self.stats)
        self._recovery = Recovery(
            config=config,
            parameters=parameters,
            datagram_bytes=datagram_bytes,
            timers=self._timers,
            stats=self.stats,
            room=self._room,
        )
        self._ping_due = False
        self._grease_in = self._grease_gap()
        # Whoever has a token could open many connections; and FINISH waits no longer than WELCOME.
        waits = role is Role.SERVER or handshake.finish
        first_s = config.handshake_s if waits else self._idle_s
        self._timers.set(Timer.IDLE, now + first_s)
        self._heard(now)

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
        self._intake.take(packet)
        self.stats.datagrams_received += 1
        self.stats.bytes_received += packet.size
        self.stats.frames_received += len(packet.hop_seqs)
        self.stats.datagram_frames_received += len(packet.datagrams)
        if self._state is ConnectionState.CLOSING:
            self._answer_while_closing(packet, now)
            return
        if newest:
            self._paths.on_newest_packet(packet.path, packet.size)
        if packet.path == self._paths.current:
            self.validated = True
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
        """A RESET for our remote id arrived; True if the token is the peer's, which ends it."""
        known = self.parameters.reset_token
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
            self._timers.set(Timer.KEEPALIVE, now + self._config.keepalive_s)

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
        out = [
            (self._packet([frame], now), address)
            for frame, address in self._paths.frames_to_send(now)
        ]
        if not self.validated:
            return out
        limit = self._intake.credit_due()
        if limit is not None:
            self._recovery.queue.push_credit(limit)
        goes_out = self._ping_due or self._recovery.wants_to_send(now)
        parts = self._acks.frames_to_send(now, data_goes_out=goes_out)
        self.stats.acks_sent += len(parts)
        tracked = False
        while not self._sealing.spent:
            room = self._room - sum(map(len, parts))
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
                out.append((self._packet(parts, now), path))
            parts = []
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

    @property
    def queued_frames(self) -> int:
        """Bodies waiting for their first transmission."""
        return self._recovery.queue.waiting_frames

    @property
    def queued_control_frames(self) -> int:
        """Those of them that are not bulk."""
        return self._recovery.queue.control_frames

    @property
    def queued_bulk_bytes(self) -> int:
        """Bytes of bulk bodies waiting for their first transmission, most of them for credit."""
        return self._recovery.queue.bulk_bytes_waiting

    @property
    def queued_datagram_frames(self) -> int:
        """DATAGRAM frames waiting for their transmission."""
        return len(self._recovery.queue.datagrams)

    @property
    def reassembly_bytes(self) -> int:
        """Bytes kept of bodies that are not whole yet."""
        return self._intake.reassembly.bytes_kept

    @property
    def reassembly_groups(self) -> int:
        """Bodies that are not whole yet."""
        return self._intake.reassembly.groups

    @property
    def in_flight_frames(self) -> int:
        """Frames transmitted and not acked."""
        return self._recovery.queue.in_flight_frames

    @property
    def congestion_window_bytes(self) -> int:
        """How many bytes the controller lets be in flight."""
        return self._recovery.congestion.window

    # Private: receiving.

    def _read(self, datagram: bytes, path: Address) -> IncomingPacket:
        """The packet in a datagram; raises DecodeError with the reason to drop it."""
        if self._state is ConnectionState.CLOSED:
            raise DecodeError("closed")
        header, cid, truncated = self._sealing.read_header(datagram)
        if cid != self.local_cid:
            raise DecodeError("wrong connection id")
        window = self._acks.window
        number = expand(truncated, window.top + 1)
        refusal = window.refusal(number)
        if refusal is not None:
            raise DecodeError(refusal)
        payload = self._sealing.open(header, number, datagram)
        if payload is None:
            raise DecodeError("not authentic")
        packet = IncomingPacket(number, path, len(datagram))
        self._intake.read(payload, packet)
        return packet

    def _drop(self, reason: str) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1

    def _heard(self, now: float) -> None:
        if self.role is Role.CLIENT:
            self._timers.set(Timer.KEEPALIVE, now + self._config.keepalive_s)

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
        elif kind == wire.PATH_CHALLENGE:
            self._paths.on_challenge(frame[1], path)
        elif kind == wire.PATH_RESPONSE:
            before = self._paths.current
            if self._paths.on_response(frame[1], path):
                self.validated = True
                self._recovery.on_path_changed(same_host=before[0] == path[0])

    # Private: sending.

    def _tracked_packet(self, parts: list[bytes], frames: list[OutgoingFrame], now: float) -> bytes:
        """Build an ack-eliciting packet and remember it."""
        self._grease_in -= 1
        if self._grease_in == 0:
            self._add_grease(parts)
        number = self._next_number
        datagram = self._packet(parts, now)
        self._recovery.on_sent(number, len(datagram), frames, now)
        return datagram

    def _packet(self, parts: list[bytes], now: float) -> bytes:
        """Build a packet of these encoded frames under the next packet number."""
        number = self._next_number
        self._next_number = self._skips.after(number)
        payload = b"".join(parts).ljust(self._pad_to, b"\0")
        datagram = self._sealing.seal(self.remote_cid, number, payload)
        self.stats.datagrams_sent += 1
        self.stats.bytes_sent += len(datagram)
        return datagram

    def _grease_gap(self) -> int:
        """How many packets until the next extension frame; 0: there is none."""
        highest = self._config.grease_packets_max
        return self._random_bytes(1)[0] % highest + 1 if highest else 0

    def _add_grease(self, parts: list[bytes]) -> None:
        """A frame that the peer must skip, so that peers stay able to."""
        kind, size, *body = self._random_bytes(10)
        extension = wire.encode_extension(
            wire.EXTENSION_MIN | kind & 0x3F, bytes(body[: size % len(body)])
        )
        if sum(map(len, parts)) + len(extension) <= self._room:
            parts.append(extension)
        self._grease_in = self._grease_gap()

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
        return [(self._packet([frame], now), self._paths.current)]

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
