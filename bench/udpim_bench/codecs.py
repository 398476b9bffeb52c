"""Cost of the codecs: what the hot path uses (``struct``) against the declarations (construct).

Every frame here is what one full datagram of the exchange carries: a run of 8 messages of 128
bytes, or the answer to one. So the cost per message is the cost of the frame divided by 8.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from udpim.crypto.protection import PlaintextProtection
from udpim.model import StreamId
from udpim.wire import frames as f
from udpim.wire import hop_schema, im_codec, im_schema
from udpim.wire import im_packets as p
from udpim.wire.packet import (
    PLAIN_SHORT_FLAGS,
    SHORT_HEADER_BYTES,
    encode_short_header,
    parse_short_header,
)
from udpim_bench.measure import WrongCounts

RUN_MESSAGES = 8
"""Messages of 128 bytes in one section, as many as fit a datagram."""
MESSAGE_BYTES = 128
SLOWER = 50
"""The declarations get this many times fewer repetitions; they are that much slower."""

_CID = b"8 bytes."
_RANGE = ((1001, 1008),)
_HANDLE = 7
_ACKED_BYTES = 12
_ACKED_BITS = (1 << 8 * _ACKED_BYTES) - 1 ^ 1 << 40
"""96 packets back, one of them missing: an ACK during recovery."""


class CodecCase:
    """One operation of one codec, repeated: a `udpim_bench.measure.Case` per operation."""

    def __init__(
        self, name: str, operation: Callable[[], object], expected: object, count: int
    ) -> None:
        """Take an operation, what it must return, and how often a run does it."""
        self.name = name
        self._operation = operation
        self._expected = expected
        self._count = count

    def run(self) -> int:
        """Do it ``count`` times."""
        operation = self._operation
        for _ in range(self._count):
            operation()
        return self._count

    def check(self) -> None:
        """Verify that the operation gives what the other codec gives.

        Raises:
            WrongCounts: If it does not.
        """
        if self._operation() != self._expected:
            raise WrongCounts(f"{self.name}: wrong result")


def im_packets() -> dict[str, p.ImPacket]:
    """Return one of each hot IM packet."""
    stamps = range(1 << 56, (1 << 56) + RUN_MESSAGES)
    section = im_codec.encode_section(1001, stamps, [bytes(MESSAGE_BYTES)] * RUN_MESSAGES)
    name = StreamId("alice", "phone", 1 << 62, "bob")
    offline = p.OfflineA(_HANDLE, None, 1, 1, False, 990, 1, (), section)
    return {
        "msg:R": p.MsgR(_HANDLE, None, 990, (p.EpochRun(1, 1),), 0, section),
        "msg:R with name": p.MsgR(_HANDLE, name, 990, (p.EpochRun(1, 1),), 0, section),
        "msg:A": p.MsgA(_HANDLE, 20_000, _RANGE),
        "msg:N": p.MsgN(_HANDLE, None, 990, 1, section),
        "ack:R": p.AckR(_HANDLE, None, False, _RANGE, ()),
        "ack:A": p.AckA(_HANDLE, _RANGE),
        "ack:N": p.AckN(_HANDLE, None, 0, 1 << 62, 1 << 61, _RANGE, (), (), ()),
        "offline:A": offline,
    }


def cases(count: int) -> list[CodecCase]:
    """Return every operation; ``count`` repetitions a run for ``struct``, fewer for construct."""
    made: list[CodecCase] = []
    for label, packet in im_packets().items():
        body = im_codec.encode(packet)
        kind = p.Kind(body[0])
        made += _four(
            label,
            count,
            body=body,
            value=packet,
            decode=partial(im_codec.decode, body),
            encode=partial(im_codec.encode, packet),
            parse=partial(im_schema.parse, body),
            build=partial(im_schema.build, kind, im_schema.parse(body)),
        )
    body = im_codec.encode(im_packets()["msg:R"])
    encode_ack = partial(f.encode_ack, 5000, 12, _ACKED_BITS, _ACKED_BYTES)
    encode_message = partial(f.encode_message, 4711, body)
    ack, message = encode_ack(), encode_message()
    for label, wire, encode in (("ACK", ack, encode_ack), ("MESSAGE", message, encode_message)):
        tree = hop_schema.parse_strictly(hop_schema.FRAMES, wire)
        made += _four(
            label,
            count,
            body=wire,
            value=f.parse_frames(wire),
            decode=partial(f.parse_frames, wire),
            encode=encode,
            parse=partial(hop_schema.parse_strictly, hop_schema.FRAMES, wire),
            build=partial(hop_schema.FRAMES.build, tree),
        )
    datagram = seal_datagram([ack, message])
    made += _four(
        "datagram",
        count,
        body=datagram,
        value=open_datagram(datagram),
        decode=partial(open_datagram, datagram),
        encode=partial(seal_datagram, [ack, message]),
        parse=partial(hop_schema.parse_datagram, datagram),
        build=partial(hop_schema.build_datagram, hop_schema.parse_datagram(datagram)),
    )
    return made


def _four(
    label: str,
    count: int,
    *,
    body: bytes,
    value: object,
    decode: Callable[[], object],
    encode: Callable[[], object],
    parse: Callable[[], object],
    build: Callable[[], object],
) -> list[CodecCase]:
    few = max(1, count // SLOWER)
    return [
        CodecCase(f"{label}|decode|struct", decode, value, count),
        CodecCase(f"{label}|encode|struct", encode, body, count),
        CodecCase(f"{label}|decode|construct", parse, parse(), few),
        CodecCase(f"{label}|encode|construct", build, body, few),
    ]


_PLAIN = PlaintextProtection()


def seal_datagram(frames: list[bytes]) -> bytes:
    """Build a short packet as a connection does: header, frames, checksum."""
    header = encode_short_header(PLAIN_SHORT_FLAGS, _CID, 4242)
    return header + _PLAIN.seal(header, 4242, b"".join(frames))


def open_datagram(datagram: bytes) -> tuple[int, list[f.Frame]]:
    """Read a short packet as a connection does; return its number and frames."""
    _, _, number = parse_short_header(datagram)
    payload = _PLAIN.open(datagram[:SHORT_HEADER_BYTES], number, datagram[SHORT_HEADER_BYTES:])
    assert payload is not None, "this benchmark sealed it itself"
    return number, f.parse_frames(payload)
