"""Counters of connections and of their establishment, for reports and tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class HopStats:
    """What a connection, or an attempt at one, has done so far; only ever rises.

    Those of several are added up, but of a ``…_peak`` the highest counts.
    """

    hellos_sent: int = 0
    """HELLOs, repetitions included."""
    finishes_sent: int = 0
    """FINISHs, repetitions included."""
    retries_received: int = 0
    """RETRYs obeyed."""
    resets_received: int = 0
    """RESETs believed: the peer had forgotten the connection."""

    datagrams_sent: int = 0
    """Datagrams handed out for transmission."""
    bytes_sent: int = 0
    """Their bytes."""
    datagrams_received: int = 0
    """Datagrams taken."""
    bytes_received: int = 0
    """Their bytes."""
    key_updates: int = 0
    """How often the key was replaced under which packets are sealed."""
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
    window_waits: int = 0
    """Turns that ended with frames that the congestion window held back."""
    pacing_waits: int = 0
    """Turns that ended with frames that pacing held back."""
    credit_waits: int = 0
    """Bodies with payloads that had to wait for the peer's CREDIT."""
    credits_sent: int = 0
    """CREDIT frames given to the peer, without repetitions."""
    frames_refused: int = 0
    """Bodies that the full send queue did not take."""
    datagram_frames_sent: int = 0
    """DATAGRAM frames transmitted, each once."""
    datagram_frames_received: int = 0
    """DATAGRAM frames taken."""
    datagram_frames_crowded: int = 0
    """DATAGRAM frames that made room for newer ones before they were sent."""
    datagram_frames_late: int = 0
    """DATAGRAM frames that had waited too long to be sent."""
    path_changes: int = 0
    """How often the peer was proven to be at another address, or we went to one ourselves."""
    cids_changed: int = 0
    """How often another connection id of the peer's took the place of the one in use."""
    cids_short: int = 0
    """How often that was due, and there was no spare one: the old one stayed."""
    reassembly_bytes_peak: int = 0
    """Most bytes of bodies in pieces at one time."""
    reassembly_groups_peak: int = 0
    """Most bodies in pieces at one time."""


@dataclass(slots=True, kw_only=True)
class ListenerStats:
    """What a server has answered to datagrams of no connection; only ever rises."""

    hellos_received: int = 0
    """HELLOs that were meant for this server, repeated ones included."""
    hellos_repeated: int = 0
    """Those that got the same WELCOME again."""
    connections_accepted: int = 0
    """Those that opened a connection."""
    retries_sent: int = 0
    """RETRYs: the client has to prove its address."""
    resets_sent: int = 0
    """RESETs for connections of an earlier life."""
    handshakes_evicted: int = 0
    """Encrypted handshakes that made room for others before their FINISH was there."""
    finishes_received: int = 0
    """FINISHs that opened an encrypted connection."""
    early_datagrams: int = 0
    """Packets kept until the FINISH that they overtook was there."""
    versions_sent: int = 0
    """VERSIONs for clients that speak another one."""
