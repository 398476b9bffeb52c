"""What a client puts into its connection, and in which order.

Between the client's machines, which have IM packets to send, and the hop: receipts and questions
never wait behind payloads, and each has its share of the frames that may wait for the hop's window.
"""

from __future__ import annotations

from typing import Protocol

from udpim.config import Limits
from udpim.hop.connection import Connection
from udpim.im.receiver import Inbox
from udpim.im.sender import Outbox
from udpim.im.waiting_ack import Flight
from udpim.model import StreamId
from udpim.node.reception import Reception
from udpim.wire import im_codec
from udpim.wire import im_packets as p


class Emit(Protocol):
    """Puts one IM packet into the connection."""

    def __call__(self, packet: p.ImPacket, tag: Flight | StreamId | None = None, /) -> None:
        """Emit it, with what is to be remembered until it is acked."""


class Outflow:
    """Moves IM packets into a connection."""

    def __init__(self, limits: Limits, outbox: Outbox, inbox: Inbox, reception: Reception) -> None:
        """Know the machines that have something to say."""
        self._limits = limits
        self._outbox = outbox
        self._inbox = inbox
        self._reception = reception

    def with_login(self, connection: Connection, now: float) -> None:
        """Let all messages that are open leave together with a login (PROTOCOL §4.2)."""
        self._outbox.transmit(_emitter(connection, now), self._limits.hop_frames_max)

    def transmit(self, connection: Connection, now: float, *, messages: bool) -> None:
        """Fill the connection, with messages or without."""
        emit, frames_max = _emitter(connection, now), self._limits.hop_frames_max
        # Receipts make room at the server: they never wait behind payloads without credit.
        groups, inquiries = self._reception.groups, self._reception.inquiries
        if groups.unsent:
            groups.transmit(emit, frames_max - connection.queued_control_frames)
        self._inbox.transmit(emit, frames_max - connection.queued_control_frames, now)
        if inquiries.unsent:
            inquiries.transmit(emit, frames_max - connection.queued_control_frames)
        if messages and connection.queued_bulk_bytes < self._limits.hop_bytes_max:
            self._outbox.transmit(emit, frames_max - connection.queued_frames)


def _emitter(connection: Connection, now: float) -> Emit:
    encode = im_codec.encode

    def emit(packet: p.ImPacket, tag: Flight | StreamId | None = None, /) -> None:
        body = encode(packet)
        connection.send_frame(body, tag, now, bulk=p.is_bulk(packet, len(body)))

    return emit
