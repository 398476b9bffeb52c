"""From a hop packet to the IM packets in it, for both nodes."""

from __future__ import annotations

from udpim.errors import DecodeError
from udpim.hop.codes import CloseCode
from udpim.hop.intake import IncomingPacket
from udpim.wire import im_codec
from udpim.wire.im_packets import PAYLOADS, ImPacket

TOO_MANY_STREAMS = (CloseCode.TOO_MANY_STREAMS, "more streams than fit one connection")
"""How a connection ends on which one more stream was named than it has room for (PROTOCOL §4.3)."""


def read_im_packets(incoming: IncomingPacket) -> list[ImPacket | None]:
    """Decode every body of a packet; None stands for a kind to skip.

    Raises:
        DecodeError: If one is malformed, or carries payloads past flow control (PROTOCOL §3.8).
    """
    packets = [im_codec.decode(body) for body in incoming.frames]
    for packet in packets[: len(packets) - incoming.bulk]:
        if isinstance(packet, PAYLOADS):
            raise DecodeError("payload outside of bulk")
    return packets
