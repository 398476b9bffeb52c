"""Limits and timers of the IM machines and nodes, each with unit, reason and outcome.

The hop's own numbers are in `udpim.hop.config`.
"""

from __future__ import annotations

from dataclasses import dataclass

from udpim.errors import ConfigError

WINDOW = 1024
"""W: seqs that a sender may be ahead of the lowest open one, and bits of B's bitmaps (R9)."""
WINDOW_BYTES = 2 * 1024 * 1024
"""Payload bytes of one stream that a sender lets be under way, neither settled nor STORED: a
recipient that does not read costs the server no more than this for each of its senders, and its
senders' other conversations nothing (PROTOCOL §5.3)."""

E2E_TIMER_S_MIN = 3.0
"""First end-to-end re-send (PROTOCOL §6)."""
E2E_TIMER_S_MAX = 60.0
"""Largest interval between end-to-end re-sends."""
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
STREAMS_PER_PEER_MAX = 4096
"""Incoming streams per sending user; one more is refused and stays at its sender."""
PULL_BYTES_MAX = 256 * 1024
"""Payload bytes that a client asks for in one offline:R."""
QUEUE_MESSAGES_MAX = 100_000
"""Offline messages per endpoint; one more is refused as FULL, which only slows its sender."""
QUEUE_ENTRY_BYTES = 1024
"""What a smaller offline message counts as, so that the sizes of small ones need no memory."""
DEVICES_PER_USER_MAX = 16
"""The most that may be configured: a membership has to fit one packet with the longest names."""
RETIRED_INCARNATIONS_MAX = 64
"""Older incarnations that the server remembers per device; beyond, the oldest is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """What a client node may be told."""

    user: str
    device: str
    token: bytes = b""
    outbox_messages_max: int = 100_000
    """Unsettled messages; at the limit ``send`` waits and ``send_nowait`` raises OutboxFull."""
    outbox_bytes_max: int = 64 * 1024 * 1024
    """Payload bytes of them: at the limit nothing more is taken; one call may go beyond it."""
    conversation_messages_max: int = 20_000
    """Unsettled messages to one user; the rest of the outbox is for the others, so that one who
    does not read keeps nobody from writing to somebody else."""
    conversation_bytes_max: int = 16 * 1024 * 1024
    """Payload bytes of them; one call may go beyond."""
    inbox_bytes_max: int = 64 * 1024 * 1024
    """Payload bytes that wait for the application; beyond, packets with messages are not taken
    and the hop holds the server back."""
    payload_bytes_max: int = 1024 * 1024
    """Largest payload that ``send`` takes."""
    hop_frames_max: int = 256
    """Frames that may wait for the hop's window; the rest stays in the outbox."""
    hop_bytes_max: int = 1024 * 1024
    """Bytes of them that may wait; one payload may go beyond."""
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
    """What a server node may be told."""

    sessions_max: int = 10_000
    """Logged-in endpoints; one more is told BUSY."""
    queue_messages_max: int = QUEUE_MESSAGES_MAX
    """Offline messages per endpoint."""
    queue_bytes_max: int = 256 * 1024 * 1024
    """Payload bytes of them, small ones counted as `QUEUE_ENTRY_BYTES`; beyond, refused as FULL."""
    devices_per_user_max: int = DEVICES_PER_USER_MAX
    """Devices that a user may register; one more is told BUSY."""
    login_s_max: float = 10.0
    """A connection that has not logged in by then is closed."""
    payload_bytes_max: int = 1024 * 1024
    """Largest payload that is routed; a larger one is refused as TOO_LARGE."""
    session_bytes_max: int = 8 * 1024 * 1024
    """Bytes pushed to one client and not receipted; beyond, messages go to its queue, or are
    refused as FULL where the queue would be in memory, too."""
    pushed_bytes_max: int = 256 * 1024 * 1024
    """The same for all clients together: one client may have no more than what is left of it."""
    session_frames_max: int = 16_384
    """Frames that may wait for one client; a client further behind is disconnected, and its
    messages go to its queue."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 1 <= self.devices_per_user_max <= DEVICES_PER_USER_MAX:
            raise ConfigError(f"devices_per_user_max must be 1 to {DEVICES_PER_USER_MAX}")
