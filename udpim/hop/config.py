"""Limits and times of the hop layer, each with its unit and its reason.

Numbers that belong to one algorithm alone (loss thresholds, congestion windows) stand in its
module. Specification: PROTOCOL §6.
"""

from __future__ import annotations

from dataclasses import dataclass

from udpim.errors import ConfigError
from udpim.wire.frames import BODY_BYTES_MAX
from udpim.wire.packet import DATAGRAM_BYTES_MAX
from udpim.wire.parameters import PeerParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class HopConfig:
    """Settings of one endpoint's connections."""

    idle_timeout_s: float = 30.0
    """Silence after which a connection is forgotten (RFC 9308 §3.2 suggests 30 s)."""
    keepalive_s: float = 10.0
    """Silence after which a client says PING; three tries fit into the idle timeout."""
    dead_s: float = 30.0
    """Without any ack for this long while frames are in flight, the peer is dead."""
    handshake_s: float = 10.0
    """How long a server waits for the first packet that proves a client's address."""
    max_ack_delay_s: float = 0.005
    """Longest time an ack is held back; short, for the round trip is what users wait for."""
    max_datagram_bytes: int = DATAGRAM_BYTES_MAX
    """Largest UDP payload we send or ask for."""
    frame_window: int = 1024
    """Reliable frames accepted beyond the lowest missing one."""
    bulk_window_bytes: int = 1024 * 1024 + BODY_BYTES_MAX
    """Bytes of bulk bodies that a peer may have sent and the owner not disposed of; also the
    worst memory of bodies in pieces, per connection."""
    reassembly_groups_max: int = 1024
    """Bodies in pieces at one time, some 500 bytes each beside the pieces; as many as an honest
    peer can have open within the frame window. A packet that would open more is not taken."""
    send_queue_frames_max: int = 65_536
    """Frames waiting for transmission; one more is a LocalProtocolError of the caller."""
    hello_retry_s: float = 0.25
    """When the first HELLO is repeated."""
    hello_retry_ratio: float = 1.5
    """Growth of that interval."""
    hello_retry_s_max: float = 1.0
    """Its ceiling: a person is waiting."""
    half_open_free: int = 256
    """Unproven handshakes that a server keeps before it asks for address tokens."""
    half_open_max: int = 16_384
    """Handshakes remembered at all; beyond this, a HELLO is dropped."""
    always_retry: bool = False
    """Ask every client for an address token."""
    resets_per_s: float = 50.0
    """Stateless resets that a server sends per second."""
    reset_burst: int = 100
    """How many of them it sends at once."""
    grease_packets_max: int = 255
    """An extension frame of random type rides every 1 to this many packets; 0: never."""
    first_packet_number: int = 0
    """Where packet numbers start; both ends must agree. Only tests change it."""
    first_hop_seq: int = 0
    """Where reliable frames' numbers start; both ends must agree. Only tests change it."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.max_datagram_bytes != DATAGRAM_BYTES_MAX:
            raise ConfigError(f"max_datagram_bytes must be {DATAGRAM_BYTES_MAX}")
        if not 0 < self.keepalive_s < self.idle_timeout_s:
            raise ConfigError("keepalive_s must be positive and below idle_timeout_s")
        # A CREDIT waits until a quarter can be given back; then too a whole body must have room.
        if not BODY_BYTES_MAX * 4 // 3 < self.bulk_window_bytes < 2**32:
            raise ConfigError(f"bulk_window_bytes must exceed {BODY_BYTES_MAX * 4 // 3}")

    def parameters(self, reset_token: bytes | None = None) -> PeerParameters:
        """What the peer learns about us in the handshake."""
        return PeerParameters(
            idle_timeout_s=self.idle_timeout_s,
            max_datagram_bytes=self.max_datagram_bytes,
            frame_window=self.frame_window,
            max_ack_delay_s=self.max_ack_delay_s,
            reset_token=reset_token,
            bulk_window_bytes=self.bulk_window_bytes,
        )
