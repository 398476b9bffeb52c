"""Counters of one connection, for reports and tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class HopStats:
    """What a connection has done so far; only ever rises."""

    datagrams_sent: int = 0
    """Datagrams handed out for transmission."""
    bytes_sent: int = 0
    """Their bytes."""
    datagrams_received: int = 0
    """Datagrams taken."""
    bytes_received: int = 0
    """Their bytes."""
    packets_lost: int = 0
    """Packets declared lost."""
    packets_spuriously_lost: int = 0
    """Packets declared lost that were acked after all."""
    frames_sent: int = 0
    """Reliable frames queued by the owner."""
    frames_received: int = 0
    """Reliable frames taken, each once."""
    frames_retransmitted: int = 0
    """Transmissions of reliable frames beyond the first of each."""
    acks_sent: int = 0
    """ACK frames."""
    probes_sent: int = 0
    """Packets sent because of a probe timeout."""
