"""What one connection does, as events of qlog.

Between :mod:`udpim.hop.trace`, which tells, and :mod:`udpim.observe.qlog`. Frames that QUIC has are
called as there. IM packets are named with whom and which messages they concern, and never with
what is in them; those that travel in pieces show as pieces only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from udpim.errors import DecodeError
from udpim.hop.trace import Measures
from udpim.model import Endpoint, StreamId
from udpim.wire import frames as f
from udpim.wire import im_codec
from udpim.wire.hop_schema import FRAME_NAMES
from udpim.wire.im_kinds import Kind
from udpim.wire.im_packets import Section

EXACT_MAX = 2**53
"""Larger numbers are no numbers in JSON as most tools read it; they stand there as text."""

_WITH_BODIES = (f.MESSAGE, f.BULK, f.DATAGRAM)
_IN_QUIC = {
    f.CREDIT: "max_data",
    f.NEW_CID: "new_connection_id",
    f.RETIRE_CID: "retire_connection_id",
}

Data = dict[str, Any]


class Tell(Protocol):
    """Takes an event: its name, its data, and its connection."""

    def __call__(self, name: str, data: Data, group: str | None = None) -> None:
        """Take it."""


class ConnectionTrace:
    """The `udpim.hop.trace.Trace` of one connection."""

    def __init__(self, tell: Tell, role: str, cid: bytes) -> None:
        """Tell that there is a connection.

        Args:
            tell: Takes the events.
            role: ``client`` or ``server``.
            cid: Of the peer's packets; the connection is called by it.
        """
        self._tell = tell
        self._group = cid.hex()
        self._known: Data = {}
        self._event("connectivity:connection_started", {"src_cid": self._group, "role": role})

    def _event(self, name: str, data: Data) -> None:
        self._tell(name, data, self._group)

    def sent(self, number: int, payload: bytes, size: int) -> None:
        """See `Trace.sent`."""
        self._passes("sent", number, payload, size)

    def received(self, number: int, payload: bytes, size: int) -> None:
        """See `Trace.received`."""
        self._passes("received", number, payload, size)

    def dropped(self, reason: str) -> None:
        """See `Trace.dropped`."""
        self._event("transport:packet_dropped", {"trigger": reason})

    def recovered(self, measures: Measures, lost: Sequence[int]) -> None:
        """See `Trace.recovered`."""
        for number in lost:
            self._event("recovery:packet_lost", {"header": _header(number)})
        told = measures._asdict()
        for name in ("smoothed_rtt", "latest_rtt", "min_rtt"):
            told[name] = round(told[name] * 1000, 6)
        told["rtt_variance"] = round(told.pop("rttvar") * 1000, 6)
        changed = {name: value for name, value in told.items() if self._known.get(name) != value}
        if changed:
            self._known = told
            self._event("recovery:metrics_updated", changed)

    def _passes(self, way: str, number: int, payload: bytes, size: int) -> None:
        try:
            frames = f.parse_frames(payload)
        except DecodeError as error:  # the peer's doing; the connection will drop it
            frames = []
            self._event("udpim:malformed", {"packet_number": number, "trigger": str(error)})
        data = {
            "header": _header(number),
            "raw": {"length": size, "payload_length": len(payload)},
            "frames": [_frame(frame) for frame in frames],
        }
        self._event(f"transport:packet_{way}", data)
        for packet in _im_packets(frames):
            self._event(f"udpim:im_packet_{way}", {"packet_number": number, **packet})


def _header(number: int) -> Data:
    return {"packet_type": "1RTT", "packet_number": number}


def _frame(frame: f.Frame) -> Data:
    kind = frame[0]
    name = _IN_QUIC.get(kind, FRAME_NAMES.get(kind, "EXTENSION").lower())
    if kind == f.ACK:
        delay_ms = round(frame[2] * f.ACK_DELAY_UNIT_S * 1000, 6)
        ranges = _acked(frame[1], frame[3])
        return {"frame_type": "ack", "ack_delay": delay_ms, "acked_ranges": ranges}
    if kind == f.CLOSE:
        return {"frame_type": "connection_close", "error_code": frame[1], "reason": frame[2]}
    if kind == f.CREDIT:
        return {"frame_type": name, "maximum": frame[1]}
    if kind in (f.NEW_CID, f.RETIRE_CID):
        return {"frame_type": name, "sequence_number": frame[1]}
    told: Data = {"frame_type": name}
    if kind in (f.MESSAGE, f.BULK, f.FRAGMENT):
        told["hop_seq"] = frame[1]
    if kind == f.FRAGMENT:
        told |= {"group": frame[2], "index": frame[3], "count": frame[4]}
    if kind in (*_WITH_BODIES, f.FRAGMENT):
        told["length"] = len(frame[-1])
    return told


def _acked(largest: int, bitmap: int) -> list[list[int]]:
    """Return the ranges of an ACK, the lowest first."""
    ranges = [[largest, largest]]
    for below in range(bitmap.bit_length()):
        if bitmap >> below & 1:
            number = largest - 1 - below
            if ranges[-1][0] == number + 1:
                ranges[-1][0] = number
            else:
                ranges.append([number, number])
    return ranges[::-1]


def _im_packets(frames: Sequence[f.Frame]) -> Iterator[Data]:
    for frame in frames:
        if frame[0] in _WITH_BODIES:
            try:
                packet = im_codec.decode(frame[-1])
            except DecodeError as error:
                yield {"kind": "malformed", "trigger": str(error)}
                continue
            if packet is not None:
                fields = {name: _plain(value) for name, value in packet._asdict().items()}
                told = {name: value for name, value in fields.items() if value is not None}
                yield {"kind": Kind(frame[-1][0]).label, **told}


def _plain(value: object) -> object:
    """Return what may be shown of a field: numbers and names, nothing that somebody wrote."""
    if isinstance(value, int):
        return value if value < EXACT_MAX else str(value)
    if isinstance(value, StreamId):
        # Who speaks of streams of his own names only the other end.
        sender = f"{value.user}/{value.device}→" if value.user else ""
        return f"{sender}{value.conversation}"
    if isinstance(value, Endpoint):
        return str(value)
    if isinstance(value, Section):
        return [[value.first, value.last]]
    if isinstance(value, tuple):
        parts = [_plain(part) for part in value]
        return None if None in parts else parts
    return None
