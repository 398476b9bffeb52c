"""Opens captured packets with the secrets of a key log, in whatever order they were captured.

For whoever reads along with leave: `udpim decode`, the virtual network, tests. A connection itself
opens packets with :mod:`.key_schedule`, which forgets old keys; nothing is forgotten here.

Specification: PROTOCOL §2.9.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from udpim.crypto.aead_protection import AeadProtection
from udpim.crypto.header_protection import SAMPLE_BYTES
from udpim.crypto.key_log import ConnectionSecrets
from udpim.crypto.packet_keys import direction_keys
from udpim.crypto.security import SUITES
from udpim.errors import DecodeError
from udpim.wire.frames import NEW_CID, parse_frames
from udpim.wire.packet import (
    FLAG_ENCRYPTED,
    FLAG_KEY_PHASE,
    SHORT_BYTES_MIN,
    SHORT_HEADER_BYTES,
    encode_short_header,
    is_long,
    parse_short_header,
)
from udpim.wire.packet_number import expand

_MASK = struct.Struct(">BI")


class Opened(NamedTuple):
    """One packet in the clear."""

    cid: bytes
    """What its direction was called first: connection ids may change, keys do not with them."""
    generation: int
    """How many updates its key has behind it."""
    number: int
    """Its packet number, all 64 bits of it."""
    header: bytes
    """Without its mask."""
    payload: bytes
    """Its frames."""


class PacketOpener:
    """The connections whose secrets are known."""

    def __init__(self) -> None:
        """Nothing is known."""
        self._directions: dict[bytes, _Direction] = {}

    def add(self, secrets: ConnectionSecrets) -> None:
        """Read this connection too; saying it twice is harmless."""
        known = self._directions
        if secrets.client_cid in known and secrets.server_cid in known:
            return
        down = _Direction(secrets.suite, secrets.to_client, secrets.client_cid)
        up = _Direction(secrets.suite, secrets.to_server, secrets.server_cid)
        down.other, up.other = up, down
        known[secrets.client_cid], known[secrets.server_cid] = down, up

    def knows(self, cid: bytes) -> bool:
        """Whether packets with this connection id could be opened."""
        return cid in self._directions

    def open(self, datagram: bytes) -> Opened | None:
        """The packet in a datagram; None if it is none, or none of a known connection."""
        if len(datagram) < SHORT_BYTES_MIN or is_long(datagram):
            return None
        flags, cid, masked = parse_short_header(datagram)
        direction = self._directions.get(cid)
        if direction is None or not flags & FLAG_ENCRYPTED:
            return None
        opened = direction.open(flags, cid, masked, datagram[SHORT_HEADER_BYTES:])
        if opened is not None:
            self._learn_cids(opened.payload, direction.other)
        return opened

    def _learn_cids(self, payload: bytes, other: _Direction) -> None:
        """What is in a packet may name its sender anew (PROTOCOL §3.10)."""
        if bytes((NEW_CID,)) not in payload:
            return
        try:
            frames = parse_frames(payload)
        except DecodeError:
            return
        for frame in frames:
            if frame[0] == NEW_CID:
                self._directions.setdefault(frame[2], other)


class _Direction:
    """The keys of one direction of a connection, from the first on."""

    other: _Direction
    """The way back."""

    def __init__(self, suite: int, secret: bytes, cid: bytes) -> None:
        known = SUITES[suite]
        self._cid = cid
        first, self._mask = direction_keys(known.hash, known.cipher, secret)
        self._keys: list[AeadProtection] = [first]
        self._latest = 0
        """The newest key that has opened something."""
        self._top = -1
        """The largest packet number so far."""

    def open(self, flags: int, cid: bytes, masked: int, sealed: bytes) -> Opened | None:
        bits, mask = _MASK.unpack(self._mask.mask(sealed[:SAMPLE_BYTES]))
        flags ^= bits & FLAG_KEY_PHASE
        truncated = masked ^ mask
        number = expand(truncated, self._top + 1)
        header = encode_short_header(flags, cid, truncated)
        for generation in self._candidates(odd=bool(flags & FLAG_KEY_PHASE)):
            payload = self._key(generation).open(header, number, sealed)
            if payload is not None:
                self._latest = max(self._latest, generation)
                self._top = max(self._top, number)
                return Opened(self._cid, generation, number, header, payload)
        return None

    def _candidates(self, *, odd: bool) -> range:
        """The keys that a packet of this phase may be under, the newest first."""
        newest = self._latest + (self._latest % 2 != odd)
        return range(newest, -1, -2)

    def _key(self, generation: int) -> AeadProtection:
        while len(self._keys) <= generation:
            self._keys.append(self._keys[-1].successor())
        return self._keys[generation]
