"""What each IM packet from the server does at a client: looked up before it is taken.

From the client node, which has read the IM packets of a hop packet, to outbox and inbox: all of
them are understood and have room, or none is taken (PROTOCOL §4.1, §4.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from udpim.im.backlog import BEYOND, FILLS, FULL
from udpim.im.group_questions import GroupQuestions
from udpim.im.handles import InHandles
from udpim.im.inquiries import Inquiries
from udpim.im.out_stream import OutStream
from udpim.im.receiver import Inbox
from udpim.im.sender import Outbox
from udpim.model import StreamId
from udpim.wire import im_packets as p

Handler = Callable[[float], None]
"""Does what a packet asks for, given the time; called once its frame is taken."""


HELD_MAX = 256
"""Packets that wait for the outbox's session; more are not taken, so the hop brings them again."""


class Reception:
    """The client's table of IM packets, and where they go."""

    def __init__(
        self,
        outbox: Outbox,
        inbox: Inbox,
        drops: dict[str, int],
        *,
        welcomed: Callable[[p.LoginOk, float], None],
        refused: Callable[[p.LoginRefused, float], None],
    ) -> None:
        """Connect the machines with the table.

        Args:
            outbox: Takes what is about messages that we sent.
            inbox: Takes what is about messages of others.
            drops: Where packets without effect are counted, by reason.
            welcomed: Takes the login-ok.
            refused: Takes the login-refused.
        """
        self._outbox = outbox
        self._inbox = inbox
        self._drops = drops
        self._welcomed = welcomed
        self._refused = refused
        self.inbound = InHandles()
        """How the server names streams on the present connection."""
        self.held: list[Handler] | None = None
        """What came for the outbox between login-ok and its session, which may wait for a commit;
        None: it takes everything at once."""
        self._crowded = self._fills_gap = False
        """Of the hop packet that is looked at: something has no room, and something fills a gap."""
        self.receipts_acknowledged = 0
        self.groups = GroupQuestions()
        self.inquiries = Inquiries()
        """Questions about who is there."""
        self.signals: list[p.SignalN] = []
        """Drained by the node."""

    def handlers(
        self, packets: Sequence[p.ImPacket | None], *, online: bool
    ) -> list[Handler] | None:
        """Return what to do once the hop packet with these is taken; None to leave it untaken.

        Args:
            packets: What it carried; None stands for a kind to skip.
            online: Whether the login is answered.
        """
        handlers = []
        self._crowded = self._fills_gap = False
        methods = _ONLINE if online else _LOGGING_IN
        for packet in packets:
            if packet is None:
                self._drop("IM packet of an unknown kind")
                continue
            method = methods.get(type(packet))
            handler = None if method is None else method(self, packet)
            if handler is None:
                return None
            handlers.append(handler)
            methods = _NEXT_METHODS.get(type(packet), methods)
        # What fills a gap must come through, whatever the server has put into one packet with it.
        return None if self._crowded and not self._fills_gap else handlers

    def _on_login_ok(self, packet: p.LoginOk) -> Handler:
        return lambda now: self._welcomed(packet, now)

    def _on_login_refused(self, packet: p.LoginRefused) -> Handler:
        return lambda now: self._refused(packet, now)

    def _on_handle(self, packet: p.MsgA | p.Refuse | p.AckA) -> Handler:
        """Answers that name the stream by the number that we gave it."""
        if isinstance(packet, p.MsgA):
            return lambda now: self._outbox.receive_msg_a(packet)
        if isinstance(packet, p.Refuse):
            return lambda now: self._outbox.receive_refuse(packet)
        return self._on_ack_a

    def _on_ack_a(self, now: float) -> None:
        self.receipts_acknowledged += 1

    def _on_own_stream(
        self, packet: p.AckN | p.StatusA | p.Members | p.Tally | p.ReadN
    ) -> Handler | None:
        """Packets about what we sent."""
        id_ = self.inbound.resolve(packet.handle, packet.name)
        if id_ is None:
            return None
        stream = self._outbox.stream(id_)
        if stream is None:
            return lambda now: self._drop("receipt for an unknown stream")
        if self.held is not None and len(self.held) >= HELD_MAX:
            return None
        method = _OUTBOX_METHODS[type(packet)]

        def handle(now: float) -> None:
            if self.held is None:
                method(self._outbox, stream, packet)
            else:
                self.held.append(handle)

        return handle

    def release(self, now: float) -> None:
        """The outbox has begun its session: it takes what has waited for that."""
        held, self.held = self.held, None
        for handle in held or ():
            handle(now)

    def _on_incoming_stream(
        self, packet: p.MsgN | p.OfflineA | p.CancelN | p.StatusN | p.Gone
    ) -> Handler | None:
        """Packets about what others sent us."""
        if isinstance(packet, p.OfflineA) and packet.total == 0:
            return lambda now: self._inbox.receive_offline_a(None, packet)
        id_ = self.inbound.resolve(packet.handle, packet.name)
        if id_ is None:
            return None
        if isinstance(packet, p.MsgN | p.OfflineA):
            room = self._inbox.room(id_, packet.base, packet.section)
            if room == BEYOND:
                return None
            self._crowded = self._crowded or room == FULL
            self._fills_gap = self._fills_gap or room == FILLS
        method = _INBOX_METHODS[type(packet)]
        return lambda now: method(self._inbox, id_, packet)

    def _on_nudge(self, packet: p.Nudge) -> Handler:
        return lambda now: self._inbox.receive_nudge()

    def _on_read_a(self, packet: p.ReadA) -> Handler:
        return lambda now: self._inbox.receive_read_a(packet)

    def _on_group_a(self, packet: p.GroupA) -> Handler:
        return lambda now: self._answered(self.groups.receive(packet))

    def _on_signal(self, packet: p.SignalN) -> Handler:
        return lambda now: self.signals.append(packet)

    def _on_presence(self, packet: p.PresenceA) -> Handler:
        return lambda now: self._answered(self.inquiries.receive(packet))

    def _answered(self, taken: bool) -> None:
        if not taken:
            self._drop("answer that nobody waits for")

    def _drop(self, reason: str) -> None:
        self._drops[reason] = self._drops.get(reason, 0) + 1


_OUTBOX_METHODS: dict[type, Callable[[Outbox, OutStream, Any], None]] = {
    p.AckN: Outbox.receive_ack_n,
    p.StatusA: Outbox.receive_status_a,
    p.Members: Outbox.receive_members,
    p.Tally: Outbox.receive_tally,
    p.ReadN: Outbox.receive_read_n,
}
_INBOX_METHODS: dict[type, Callable[[Inbox, StreamId, Any], None]] = {
    p.MsgN: Inbox.receive_msg_n,
    p.OfflineA: Inbox.receive_offline_a,
    p.CancelN: Inbox.receive_cancel_n,
    p.StatusN: Inbox.receive_status_n,
    p.Gone: Inbox.receive_gone,
}
_Method = Callable[[Reception, Any], Handler | None]
_ONLINE: dict[type, _Method] = {
    **dict.fromkeys(_OUTBOX_METHODS, Reception._on_own_stream),
    **dict.fromkeys(_INBOX_METHODS, Reception._on_incoming_stream),
    **dict.fromkeys((p.MsgA, p.Refuse, p.AckA), Reception._on_handle),
    p.Nudge: Reception._on_nudge,
    p.ReadA: Reception._on_read_a,
    p.GroupA: Reception._on_group_a,
    p.SignalN: Reception._on_signal,
    p.PresenceA: Reception._on_presence,
}
_LOGGING_IN: dict[type, _Method] = {
    p.LoginOk: Reception._on_login_ok,
    p.LoginRefused: Reception._on_login_refused,
}
_NEXT_METHODS: dict[type, dict[type, _Method]] = {p.LoginOk: _ONLINE, p.LoginRefused: {}}
"""What may follow these in the same packet."""
