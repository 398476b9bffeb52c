"""Limits, settings and constants of the IM machines and nodes, each with unit and outcome.

`Limits` is what an owner may choose; the constants are the protocol's, or one machine's policy. The
hop's timers are in `udpim.hop.config`. PROTOCOL §5.9 lists all limits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from udpim.costs import (
    DEVICE_BYTES,
    FRAME_BYTES,
    FRAME_WIRE_BYTES,
    INCOMING_STREAM_BYTES,
    MESSAGE_BYTES,
    QUEUE_ROW_BYTES,
    SESSION_BYTES,
    STREAM_BYTES,
    USER_RATE_BYTES,
    About,
    Estimates,
    limit,
)
from udpim.errors import ConfigError

Exchange = Literal["six", "four"]
"""How many packets a message takes, as a login says."""

WINDOW = 1024
"""W: seqs that a sender may be ahead of the lowest open one, and bits of B's bitmaps (R9)."""
PAYLOAD_BYTES_MAX = 1024 * 1024
"""Largest payload that the wire carries."""
SIGNAL_BYTES_MAX = 1024
"""Payload of a signal, which has to fit one packet with the longest names (PROTOCOL §4.5.19)."""
INQUIRIES_MAX = 64
"""Questions of one device about presence that are not answered (PROTOCOL §4.5.21)."""
BODY_BYTES_MAX = PAYLOAD_BYTES_MAX + 4096
"""Largest IM packet with a payload: what stands before the payload has room beside it."""
CREDIT_BYTES_MIN = BODY_BYTES_MAX * 4 // 3 + 1
"""Least flow-control window: a whole body has room before a quarter of it is given back."""
WINDOW_BYTES = 2 * 1024 * 1024
"""Payload bytes of one stream that a sender lets be under way, neither settled nor STORED: what a
recipient that does not read may cost the server for each of its senders (PROTOCOL §5.3)."""

E2E_TIMER_S_MIN = 3.0
"""First end-to-end re-send (PROTOCOL §6)."""
E2E_TIMER_S_MAX = 60.0
"""Largest interval between end-to-end re-sends."""
GAP_TICK_S = 10.0
"""A recipient that waits at a gap looks so often whether it still does (PROTOCOL §5.8)."""
GAP_TICKS_MAX = 64
"""Ticks between two questions about the same gap, at most; the interval doubles up to it."""
STATUS_LEASE_S = 6 * 3600.0
"""How often a sender asks whether what is STORED is still there (R3)."""

RESEND_RATIO = 0.2
"""I12: payload bytes re-sent end to end, of the new ones, while the hop is alive …"""
RESEND_MESSAGES_PER_S = 1.0
"""… plus this many messages per second …"""
RESEND_MESSAGES_BURST = 60.0
"""… averaged over a minute."""

VOID_RUNS_MAX = 256
"""Void runs that B keeps per stream; at the cap further cancels wait for floor (I6)."""
PULL_BYTES_MAX = 256 * 1024
"""Payload bytes that a client asks for in one offline:R."""
QUEUE_ENTRY_BYTES = 1024
"""What a smaller offline message counts as, so that the sizes of small ones need no memory."""
QUEUE_TTL_S = 7 * 86_400
"""How long an offline message waits by default: long enough for holidays of one week."""
RETIRE_AFTER_S = 90 * 86_400.0
"""When a device that does not come back is given up by default."""
SKEW_MS_MAX = 2 * 365 * 86_400_000
"""A stamp further ahead would put every clock that merges it out of use (R12)."""
GROUP_LINES_MAX = 10_000
"""Devices of all members of a group at one time: their lines fit one packet."""
GROUP_USERS_MAX = 2000
"""Users in one group."""
GROUPS_MAX = 100_000
"""Groups on one server."""
DEVICES_PER_USER_MAX = 16
"""The most that may be configured: a membership has to fit one packet with the longest names."""
RETIRED_INCARNATIONS_MAX = 64
"""Older incarnations that the server remembers per device; beyond, the oldest is forgotten."""
EARLY_BYTES_MAX = 16 * 1024
"""Bodies that a client may send with its login, and the server keeps until it has answered."""
EARLY_BYTES_TOTAL_MAX = 16 * 1024 * 1024
"""Those of all clients; one whose bodies find no room is told to come again."""
HANDLES_MAX = 65_536
"""Streams that may be named on one connection in one direction (PROTOCOL §4.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Estimates):
    """How much a client or a server may hold, and so how much memory it can need.

    One value for both: `udpim.connect` takes what concerns clients, `udpim.Server` the rest. Units
    stand in the names. What happens at a limit, and the memory behind it, is in `about`. A limit
    that a peer meets costs that peer its connection at most; no message is lost by any of them.
    """

    payload_bytes_max: int = limit(
        PAYLOAD_BYTES_MAX,
        most=PAYLOAD_BYTES_MAX,
        of="both",
        per="process",
        worst=lambda limits: 2 * limits.payload_bytes_max,
        outcome="send() raises PayloadTooLarge; the server refuses as TOO_LARGE",
    )
    """Largest payload; a client also keeps to what its server said at the login."""
    window_frames: int = limit(
        1024,
        least=16,
        most=2**16 - 1,
        of="both",
        per="session",
        worst=lambda limits: limits.window_frames * (FRAME_BYTES + FRAME_WIRE_BYTES),
        outcome="the sender waits; beyond what was said in the handshake packets are dropped",
    )
    """Reliable frames in flight: taken beyond the lowest missing one, sent beyond the lowest
    unacked one."""
    bulk_window_bytes: int = limit(
        2 * PAYLOAD_BYTES_MAX + 4096,
        least=CREDIT_BYTES_MIN,
        of="both",
        per="session",
        worst=lambda limits: 2 * limits.bulk_window_bytes,
        outcome="the peer waits for CREDIT; what it sends beyond is dropped",
    )
    """Bytes of bodies with payloads that a peer may have sent and the owner not disposed of, those
    in pieces included."""
    reassembly_groups_max: int = limit(
        1024,
        of="both",
        per="session",
        worst=lambda limits: limits.reassembly_groups_max * FRAME_BYTES,
        outcome="a packet that would open more is dropped, and comes again",
    )
    """Bodies in pieces at one time; as many as an honest peer can have open in the frame window."""
    send_queue_frames_max: int = limit(
        32_768,
        of="both",
        per="session",
        worst=lambda limits: limits.send_queue_frames_max * (FRAME_BYTES + FRAME_WIRE_BYTES),
        outcome="the server disconnects who is so far behind; messages go to the queue",
    )
    """Frames that wait for transmission to one peer."""
    streams_per_session_max: int = limit(
        16_384,
        least=8192,  # more than one turn or one pull can name, so every connection gets somewhere
        most=HANDLES_MAX,
        of="both",
        per="session",
        worst=lambda limits: limits.streams_per_session_max * STREAM_BYTES,
        outcome="the connection ends (TOO_MANY_STREAMS), the client comes back and goes on",
    )
    """Streams that may be named on one connection, each way."""
    signals_waiting_max: int = limit(
        64,
        of="both",
        per="session",
        worst=lambda limits: 2 * limits.signals_waiting_max * (FRAME_BYTES + FRAME_WIRE_BYTES),
        outcome="the oldest is dropped",
    )
    """Signals that wait for one peer's link, and at a client as many for the application."""
    signals_per_s_max: int = limit(
        20,
        of="both",
        per="session",
        worst=lambda limits: 0,
        outcome="signal() returns False; the server drops what comes beyond",
    )
    """Signals of one client in the long run; a rate, so no memory of its own."""
    signals_burst_max: int = limit(
        40,
        of="both",
        per="session",
        worst=lambda limits: 0,
        outcome="signal() returns False; the server drops what comes beyond",
    )
    """Signals of one client at once; a part of a rate, so no memory of its own."""

    outbox_messages_max: int = limit(
        100_000,
        of="client",
        per="process",
        worst=lambda limits: limits.outbox_messages_max * MESSAGE_BYTES,
        outcome="send() waits, send_nowait() raises OutboxFull",
    )
    """Messages that are not settled."""
    outbox_bytes_max: int = limit(
        64 * 1024 * 1024,
        of="client",
        per="process",
        worst=lambda limits: limits.outbox_bytes_max + limits.payload_bytes_max,
        outcome="send() waits, send_nowait() raises OutboxFull; one call may go beyond",
    )
    """Payload bytes of them."""
    conversation_messages_max: int = limit(
        20_000,
        of="client",
        per="process",
        worst=lambda limits: 0,
        outcome="as for the whole outbox, but only for messages to this recipient",
    )
    """Those of them for one recipient; a part of the outbox, so no memory of its own."""
    conversation_bytes_max: int = limit(
        16 * 1024 * 1024,
        of="client",
        per="process",
        worst=lambda limits: 0,
        outcome="as for the whole outbox, but only for messages to this recipient",
    )
    """Payload bytes of these; a part of the outbox, so no memory of its own."""
    inbox_messages_max: int = limit(
        200_000,
        of="client",
        per="process",
        worst=lambda limits: (limits.inbox_messages_max + WINDOW) * MESSAGE_BYTES,
        outcome="packets with messages are not taken, unless one of them fills a gap",
    )
    """Messages that wait for the application; as many empty ones as the default flow-control window
    lets through are fewer."""
    inbox_bytes_max: int = limit(
        64 * 1024 * 1024,
        of="client",
        per="process",
        worst=lambda limits: limits.inbox_bytes_max + limits.payload_bytes_max,
        outcome="packets with messages are not taken, unless one of them fills a gap",
    )
    """Payload bytes of them."""
    aside_messages_max: int = limit(
        1024,
        of="client",
        per="process",
        worst=lambda limits: 2 * limits.aside_messages_max * MESSAGE_BYTES,
        outcome="no further message is set aside: it waits, and its stream with it",
    )
    """Messages that the application has set aside, in memory too, with the reason."""
    aside_bytes_max: int = limit(
        16 * 1024 * 1024,
        of="client",
        per="process",
        worst=lambda limits: limits.aside_bytes_max + limits.payload_bytes_max,
        outcome="as for their number; one message may go beyond",
    )
    """Payload bytes of them."""
    hop_frames_max: int = limit(
        256,
        most=2048,
        of="client",
        per="process",
        worst=lambda limits: limits.hop_frames_max * FRAME_BYTES,
        outcome="the rest waits in the outbox",
    )
    """Frames that may wait for the hop's window."""
    hop_bytes_max: int = limit(
        1024 * 1024,
        of="client",
        per="process",
        worst=lambda limits: limits.hop_bytes_max + BODY_BYTES_MAX,
        outcome="the rest waits in the outbox; one payload may go beyond",
    )
    """Bytes of them."""
    streams_per_user_max: int = limit(
        4096,
        of="client",
        per="sender",
        worst=lambda limits: limits.streams_per_user_max * INCOMING_STREAM_BYTES,
        outcome="messages of one more stream are not taken, and stay at their sender",
    )
    """Incoming streams of one sending user, those of earlier incarnations included."""

    sessions_max: int = limit(
        10_000,
        of="server",
        per="process",
        worst=lambda limits: (
            limits.sessions_max * (SESSION_BYTES + 2 * (PULL_BYTES_MAX + limits.payload_bytes_max))
        ),
        outcome="one more login is refused as BUSY, and tries again later",
    )
    """Endpoints that are logged in, or whose login is being committed."""
    session_messages_max: int = limit(
        16_384,
        of="server",
        per="session",
        worst=lambda limits: limits.session_messages_max * MESSAGE_BYTES,
        outcome="messages go to the recipient's queue instead",
    )
    """Messages pushed to one client and not receipted."""
    session_bytes_max: int = limit(
        8 * 1024 * 1024,
        of="server",
        per="session",
        worst=lambda limits: 0,
        outcome="messages go to the queue instead; of a server in memory they are refused as FULL",
    )
    """Bytes of them; a part of ``pushed_bytes_max``, so no memory of its own."""
    pushed_bytes_max: int = limit(
        256 * 1024 * 1024,
        of="server",
        per="process",
        worst=lambda limits: 2 * (limits.pushed_bytes_max + limits.payload_bytes_max),
        outcome="as for one session, for sessions that have more than what is left",
    )
    """Bytes pushed to all clients together and not receipted."""
    inspected_messages_max: int = limit(
        100_000,
        of="server",
        per="process",
        worst=lambda limits: limits.inspected_messages_max * MESSAGE_BYTES,
        outcome="one more is refused as FULL, which only slows its sender",
    )
    """Messages that wait for the hooks `may_send` and `on_message`, or behind such a message."""
    inspected_bytes_max: int = limit(
        64 * 1024 * 1024,
        of="server",
        per="process",
        worst=lambda limits: 2 * (limits.inspected_bytes_max + limits.payload_bytes_max),
        outcome="one more is refused as FULL, which only slows its sender",
    )
    """Bytes of them; one run of messages may go beyond."""
    user_messages_per_s_max: int = limit(
        100_000,
        of="server",
        per="user",
        worst=lambda limits: USER_RATE_BYTES,
        outcome="one more is refused as RATE, which only slows its sender",
    )
    """Messages of one user, from all devices together, in the long run.

    The default is beyond what a client on the same machine sends, so that only an owner who sets it
    slows anybody: what is refused comes again at the pace of re-sends (PROTOCOL §5.3-18), so set it
    well above what honest users need."""
    user_messages_burst_max: int = limit(
        1_000_000,
        of="server",
        per="user",
        worst=lambda limits: 0,
        outcome="one more is refused as RATE, which only slows its sender",
    )
    """Those at once, as far as they were not sent before; a part of a rate, so no memory of its
    own."""
    user_bytes_per_s_max: int = limit(
        256 * 1024 * 1024,
        of="server",
        per="user",
        worst=lambda limits: 0,
        outcome="one more is refused as RATE, which only slows its sender",
    )
    """Bytes of them as they travelled, in the long run; a rate, so no memory of its own."""
    user_bytes_burst_max: int = limit(
        1024 * 1024 * 1024,
        of="server",
        per="user",
        worst=lambda limits: 0,
        outcome="one more is refused as RATE; a message may go beyond, and later ones wait for it",
    )
    """Those at once; a part of a rate, so no memory of its own."""
    queue_messages_max: int = limit(
        100_000,
        of="server",
        per="endpoint",
        worst=lambda limits: limits.queue_messages_max * QUEUE_ROW_BYTES,
        outcome="one more is refused as FULL, which only slows its sender",
    )
    """Offline messages per endpoint."""
    queue_bytes_max: int = limit(
        256 * 1024 * 1024,
        of="server",
        per="endpoint",
        worst=lambda limits: 0,
        outcome="one more is refused as FULL, which only slows its sender",
    )
    """Bytes of these, `QUEUE_ENTRY_BYTES` at least for each; on disk, so no memory of its own."""
    queue_ttl_s: int = limit(
        QUEUE_TTL_S,
        of="server",
        per="endpoint",
        worst=lambda limits: 0,
        outcome="it becomes a void item: its sender gives it up, its recipient has the last word",
    )
    """How long a message waits in an offline queue, counted in time that the server runs; no memory
    of its own. It may wait longer by a thirty-second, and by the time between two looks."""
    devices_per_user_max: int = limit(
        DEVICES_PER_USER_MAX,
        most=DEVICES_PER_USER_MAX,
        of="server",
        per="endpoint",
        worst=lambda limits: DEVICE_BYTES,
        outcome="the login of one more is refused as BUSY",
    )
    """Devices that a user may register."""
    unproven_handshakes_max: int = limit(
        256,
        least=0,
        of="server",
        per="process",
        worst=lambda limits: limits.unproven_handshakes_max * FRAME_BYTES,
        outcome="a further client has to prove its address first (RETRY)",
    )
    """Handshakes whose client has not proven its address."""
    handshakes_max: int = limit(
        16_384,
        of="server",
        per="process",
        worst=lambda limits: limits.handshakes_max * SESSION_BYTES,
        outcome="the oldest unfinished one makes room for a proven address, or HELLO is dropped",
    )
    """Connections without a login."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: Names the field, its value, and what is allowed.
        """
        for name in LIMIT_NAMES:
            value, limit = getattr(self, name), about(name)
            if type(value) is not int or not limit.least <= value <= limit.most:
                allowed = f"an int from {limit.least} to {limit.most}"
                raise ConfigError(f"{name} is {value!r}, it must be {allowed}")
        for low, high in _ORDERED:
            if getattr(self, low) > getattr(self, high):
                least, most = getattr(self, low), getattr(self, high)
                raise ConfigError(f"{low} is {least}, it must not exceed {high}, which is {most}")


LIMIT_NAMES = tuple(item.name for item in fields(Limits))
_ABOUT: dict[str, About] = {item.name: item.metadata["about"] for item in fields(Limits)}
_ORDERED = (("hop_frames_max", "send_queue_frames_max"),)
"""Pairs of which the first must not exceed the second."""


def about(name: str) -> About:
    """Return what is known of the limit of this name."""
    return _ABOUT[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """What a client node may be told: who it is, how long it waits, and its limits."""

    user: str
    device: str
    token: bytes = field(default=b"", repr=False)
    exchange: Exchange = "six"
    """Six packets, or four without msg:A and ack:A."""
    limits: Limits = Limits()
    """Those of its connections as well."""
    reconnect_s_min: float = 0.5
    """First back-off; the wait is drawn between 0 and it (full jitter)."""
    reconnect_s_max: float = 30.0
    """Largest back-off."""
    hello_s_max: float = 5.0
    """How long one attempt to reach the server may take."""
    login_s_max: float = 10.0
    """How long a login may take on a live connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What a server node may be told: how long it waits, and its limits."""

    limits: Limits = Limits()
    """Those of its connections as well."""
    login_s_max: float = 10.0
    """A connection that has not logged in by then is closed."""
    retire_after_s: float = RETIRE_AFTER_S
    """A device that was not seen for so long, while the server ran, is retired (R5)."""
