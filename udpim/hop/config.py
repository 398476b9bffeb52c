"""Times and choices of the hop layer, each with its unit and its reason.

How much a connection may hold is in :class:`udpim.config.Limits`. Numbers that belong to one
algorithm alone (loss thresholds, congestion windows) stand in its module. Specification:
PROTOCOL §6.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from udpim.config import Limits
from udpim.crypto.key_log import ConnectionSecrets, KeyLog
from udpim.crypto.key_schedule import UPDATE_PACKETS, UPDATE_S
from udpim.crypto.security import Plain, Security
from udpim.errors import ConfigError
from udpim.hop.trace import NewTrace
from udpim.wire.packet import DATAGRAM_BYTES_MAX
from udpim.wire.parameters import PeerParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class HopConfig:
    """Settings of one endpoint's connections."""

    idle_timeout_s: float = 30.0
    """Silence after which a connection is forgotten (RFC 9308 §3.2 suggests 30 s)."""
    keepalive_s: float = 10.0
    """Silence after which a client says PING; three tries fit into the idle timeout."""
    learn_keepalive: bool = False
    """Clients: find out on a spare port how long NATs keep a binding, and say PING accordingly."""
    dead_s: float = 30.0
    """Without any ack for this long while frames are in flight, the peer is dead."""
    handshake_s: float = 10.0
    """How long a server waits for the first packet that proves a client's address."""
    max_ack_delay_s: float = 0.005
    """Longest time an ack is held back; short, for the round trip is what users wait for."""
    security: Security = field(default_factory=Plain)
    """Plaintext, or encryption and with which keys; both ends need the same kind."""
    key_log: KeyLog | None = field(default=None, repr=False)
    """Is told the secrets of connections, for debugging; None: nobody is."""
    trace: NewTrace | None = field(default=None, repr=False)
    """Makes an observer of each connection, for debugging; None: nobody observes."""
    max_datagram_bytes: int = DATAGRAM_BYTES_MAX
    """Largest UDP payload we send or ask for."""
    limits: Limits = field(default_factory=Limits)
    """How much a connection may hold. A node puts its own limits here, see :meth:`within`."""
    hello_retry_s: float = 0.25
    """When the first HELLO is repeated."""
    hello_retry_ratio: float = 1.5
    """Growth of that interval."""
    hello_retry_s_max: float = 1.0
    """Its ceiling: a person is waiting."""
    always_retry: bool = False
    """Ask every client for an address token."""
    hellos_per_s: float = 500.0
    """Encrypted handshakes that a server begins per second with addresses that are not proven; each
    costs it three DH."""
    hello_burst: int = 1000
    """How many of them it begins at once; beyond, clients have to prove their addresses."""
    hellos_per_s_address: float = 200.0
    """Encrypted handshakes per second that one proven address may begin; a NAT has many users."""
    hello_burst_address: int = 400
    """How many of them at once; more are dropped."""
    key_update_s: float = UPDATE_S
    """Age at which an encrypted connection replaces its keys."""
    key_update_packets: int = UPDATE_PACKETS
    """Packets under one key after which it does so."""
    resets_per_s: float = 50.0
    """Stateless resets that a server sends per second."""
    reset_burst: int = 100
    """How many of them it sends at once."""
    grease_packets_max: int = 255
    """An extension frame of random type rides every 1 to this many packets; 0: never."""
    skip_packets_mean: int = 256
    """One packet number in this many, at random, is never used: who acks it lies; 0: none."""
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

    def within(self, limits: Limits) -> HopConfig:
        """The same settings under a node's limits.

        Raises:
            ConfigError: If other limits were given here.
        """
        if self.limits not in (Limits(), limits):
            raise ConfigError("hop has other limits: give them as limits=, and hop only the times")
        return replace(self, limits=limits)

    def log_secrets(self, secrets: ConnectionSecrets | None) -> None:
        """A connection opens: tell the key log, if there is one, and keys."""
        if self.key_log is not None and secrets is not None:
            self.key_log(secrets)

    def parameters(self, reset_token: bytes | None = None) -> PeerParameters:
        """What the peer learns about us in the handshake."""
        return PeerParameters(
            idle_timeout_s=self.idle_timeout_s,
            max_datagram_bytes=self.max_datagram_bytes,
            frame_window=self.limits.window_frames,
            max_ack_delay_s=self.max_ack_delay_s,
            reset_token=reset_token,
            bulk_window_bytes=self.limits.bulk_window_bytes,
        )
