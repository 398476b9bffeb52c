"""From a hop packet to the IM packets in it, for both nodes."""

from __future__ import annotations

from udpim.errors import DecodeError
from udpim.hop.codes import CloseCode
from udpim.hop.intake import IncomingPacket
from udpim.wire import im_codec
from udpim.wire.im_packets import PAYLOADS, SIGNALS, ImPacket

TOO_MANY_STREAMS = (CloseCode.TOO_MANY_STREAMS, "more streams than fit one connection")
"""How a connection ends on which one more stream was named than it has room for (PROTOCOL §4.3)."""


def read_im_packets(incoming: IncomingPacket) -> list[ImPacket | None]:
    """Decode every body of a packet; None stands for a kind to skip.

    Raises:
        DecodeError: If one is malformed, carries payloads past flow control (PROTOCOL §3.8), or is
            a signal in a reliable frame, or something else in one that is sent once (§3.9).
    """
    packets = [im_codec.decode(body) for body in incoming.frames]
    for packet in packets[: len(packets) - incoming.bulk]:
        if isinstance(packet, PAYLOADS):
            raise DecodeError("payload outside of bulk")
    for packet in packets:
        if isinstance(packet, SIGNALS):
            raise DecodeError("signal in a reliable frame")
    for body in incoming.datagrams:
        packet = im_codec.decode(body)
        if packet is not None and not isinstance(packet, SIGNALS):
            raise DecodeError("no signal, in a frame that is sent once")
        packets.append(packet)
    return packets
