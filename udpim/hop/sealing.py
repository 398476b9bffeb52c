"""Packets of a connection as bytes: header, protection, and the keys' course of life.

Between :mod:`udpim.hop.connection`, which knows packet numbers and frames, and
:mod:`udpim.crypto`. Plaintext and encryption are two classes of one shape; a connection has one of
them for its whole life. Hot module.

Order of receiving: form and connection id, then the mask comes off the header, then the connection
looks whether the number is new, and only then anything is decrypted. Nothing of that moves a
window; opening a packet of the peer's next key moves the keys: nobody else can have sealed it.

Specification: PROTOCOL §2.2 and §2.9.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

from udpim.crypto.packet_keys import PacketKeys
from udpim.crypto.protection import PlaintextProtection
from udpim.errors import DecodeError
from udpim.hop.config import HopConfig
from udpim.hop.stats import HopStats
from udpim.hop.timers import Timer, TimerTable
from udpim.hop.trace import Trace
from udpim.wire.packet import (
    FLAG_KEY_PHASE,
    PLAIN_SHORT_FLAGS,
    SEALED_SHORT_FLAGS,
    SHORT_HEADER_BYTES,
    encode_short_header,
    parse_short_header,
)
from udpim.wire.packet_number import MASK

PREVIOUS_PTOS = 3
"""How long the previous key is kept for packets that were overtaken (RFC 9001 §6.5)."""
PACKETS_RESERVED = 64
"""What a key may still seal when its connection ends, so that it can say so."""

_SAMPLE_END = SHORT_HEADER_BYTES + 16
_MASK = struct.Struct(">BI")
_ANY_PHASE = 0xFF ^ FLAG_KEY_PHASE


class Sealing(Protocol):
    """What a connection needs to turn payloads into datagrams and back."""

    @property
    def tag_bytes(self) -> int:
        """How many bytes sealing adds."""

    @property
    def spent(self) -> bool:
        """Whether nothing but the end of the connection may be sealed any more."""

    def seal(self, cid: bytes, number: int, payload: bytes) -> bytes:
        """The datagram of a packet; numbers rise."""

    def read_header(self, datagram: bytes) -> tuple[bytes, bytes, int]:
        """Read what stands before the frames, without believing it.

        Returns:
            (the header as it was sealed, connection id, low 32 bits of the packet number).

        Raises:
            DecodeError: If no packet of this connection looks like that.
        """

    def open(self, header: bytes, number: int, datagram: bytes) -> bytes | None:
        """The payload; None if the peer has not sealed it, and then nothing has changed."""

    def on_acked(self, largest: int) -> None:
        """The peer has acked packets up to this number."""

    def tend(self, now: float, pto_s: Callable[[], float]) -> str | None:
        """Forget and replace keys whose time has come; a turn of sending begins.

        Returns:
            Which limit was reached, so that the connection has to end; None if it goes on.
        """


class PlainSealing:
    """Plaintext: a checksum, and no keys."""

    tag_bytes = PlaintextProtection.tag_bytes
    spent = False

    def __init__(self) -> None:
        """There is nothing to agree on."""
        protection = PlaintextProtection()
        self._seal = protection.seal
        self._open = protection.open

    def seal(self, cid: bytes, number: int, payload: bytes) -> bytes:
        """Append the checksum."""
        header = encode_short_header(PLAIN_SHORT_FLAGS, cid, number)
        return header + self._seal(header, number, payload)

    def read_header(self, datagram: bytes) -> tuple[bytes, bytes, int]:
        """Read the header."""
        flags, cid, truncated = parse_short_header(datagram)
        if flags != PLAIN_SHORT_FLAGS:
            raise DecodeError("wrong flags")
        return datagram[:SHORT_HEADER_BYTES], cid, truncated

    def open(self, header: bytes, number: int, datagram: bytes) -> bytes | None:
        """Check the checksum."""
        return self._open(header, number, datagram[SHORT_HEADER_BYTES:])

    def on_acked(self, largest: int) -> None:
        """Nothing depends on it."""

    def tend(self, now: float, pto_s: Callable[[], float]) -> str | None:
        """Nothing wears out."""
        return None


class EncryptedSealing:
    """AEAD under keys that replace themselves, and masked headers."""

    __slots__ = (
        "_forget_at",
        "_keys",
        "_open",
        "_receive_mask",
        "_send_mask",
        "_stats",
        "_timers",
        "spent",
        "tag_bytes",
    )

    def __init__(
        self, keys: PacketKeys, config: HopConfig, timers: TimerTable, stats: HopStats
    ) -> None:
        """Begin with the keys of a handshake; sets the timer KEYS, and counts updates."""
        schedule = keys.schedule
        schedule.update_packets = config.key_update_packets
        schedule.update_s = config.key_update_s
        self.tag_bytes = schedule.tag_bytes
        self._keys = schedule
        self._open = schedule.open
        self._send_mask = keys.send_mask.mask
        self._receive_mask = keys.receive_mask.mask
        self._timers = timers
        self._stats = stats
        self._forget_at: float | None = None
        self.spent = schedule.packets_left <= PACKETS_RESERVED
        """Whether the send key has reached its limit, and the peer does not let it go; looked at
        when a turn of sending begins and after each packet."""

    def seal(self, cid: bytes, number: int, payload: bytes) -> bytes:
        """Seal, then mask: the mask depends on what was sealed."""
        keys = self._keys
        flags = SEALED_SHORT_FLAGS | keys.phase_flag
        sealed = keys.seal(encode_short_header(flags, cid, number), number, payload)
        bits, mask = _MASK.unpack(self._send_mask(sealed[:16]))
        flags ^= bits & FLAG_KEY_PHASE
        self.spent = keys.packets_left <= PACKETS_RESERVED
        return encode_short_header(flags, cid, number & MASK ^ mask) + sealed

    def read_header(self, datagram: bytes) -> tuple[bytes, bytes, int]:
        """Take the mask off."""
        flags, cid, truncated = parse_short_header(datagram)
        if flags & _ANY_PHASE != SEALED_SHORT_FLAGS:
            raise DecodeError("wrong flags")
        bits, mask = _MASK.unpack(self._receive_mask(datagram[SHORT_HEADER_BYTES:_SAMPLE_END]))
        truncated ^= mask
        header = encode_short_header(flags ^ bits & FLAG_KEY_PHASE, cid, truncated)
        return header, cid, truncated

    def open(self, header: bytes, number: int, datagram: bytes) -> bytes | None:
        """Decrypt, under the key that the phase and the number speak of."""
        return self._open(header, number, datagram[SHORT_HEADER_BYTES:])

    def on_acked(self, largest: int) -> None:
        """A next update may begin once packets of the present key were acked."""
        self._keys.on_acked(largest)

    def tend(self, now: float, pto_s: Callable[[], float]) -> str | None:
        """Forget the previous key 3 PTO after the peer has gone on, and begin updates."""
        keys = self._keys
        if keys.keeps_previous:
            if self._forget_at is None:
                self._forget_at = now + PREVIOUS_PTOS * pto_s()
                self._timers.set(Timer.KEYS, self._forget_at)
            elif self._forget_at <= now:
                keys.forget_previous()
                self._forget_at = None
                self._timers.set(Timer.KEYS, None)
        if keys.update_due(now):
            keys.update()
        self._stats.key_updates = keys.updates
        self.spent = keys.packets_left <= PACKETS_RESERVED
        return keys.exhausted or ("confidentiality limit" if self.spent else None)


class TracedSealing:
    """Another sealing, of which an observer is told what goes through it in the clear."""

    def __init__(self, sealing: Sealing, trace: Trace) -> None:
        """Put the observer before a sealing."""
        self._sealing = sealing
        self._trace = trace
        self.tag_bytes = sealing.tag_bytes
        self.read_header = sealing.read_header
        self.on_acked = sealing.on_acked
        self.tend = sealing.tend

    @property
    def spent(self) -> bool:
        """See `Sealing.spent`."""
        return self._sealing.spent

    def seal(self, cid: bytes, number: int, payload: bytes) -> bytes:
        """Seal, and tell."""
        datagram = self._sealing.seal(cid, number, payload)
        self._trace.sent(number, payload, len(datagram))
        return datagram

    def open(self, header: bytes, number: int, datagram: bytes) -> bytes | None:
        """Open, and tell what the peer has sealed."""
        payload = self._sealing.open(header, number, datagram)
        if payload is not None:
            self._trace.received(number, payload, len(datagram))
        return payload


def sealing_for(
    keys: PacketKeys | None,
    config: HopConfig,
    timers: TimerTable,
    stats: HopStats,
    trace: Trace | None = None,
) -> Sealing:
    """The sealing that a handshake has agreed on."""
    agreed = PlainSealing() if keys is None else EncryptedSealing(keys, config, timers, stats)
    return agreed if trace is None else TracedSealing(agreed, trace)
