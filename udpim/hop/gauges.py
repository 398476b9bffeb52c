"""How full a connection is, for its owner's limits and for reports.

Only reads what the halves of :class:`udpim.hop.connection.Connection` know. Hot module: a client
asks before each frame.

Specification: PROTOCOL §5.9.
"""

from __future__ import annotations

from udpim.hop.intake import Intake
from udpim.hop.recovery import Recovery


class Gauges:
    """The part of a connection that shows what waits in it."""

    _recovery: Recovery
    _intake: Intake
    keepalive_s: float
    """Silence after which a client says PING: configured, or learnt, and well below the idle
    timeout."""

    @property
    def queued_frames(self) -> int:
        """Bodies waiting for their first transmission."""
        return self._recovery.queue.waiting_frames

    @property
    def queued_control_frames(self) -> int:
        """Those of them that are not bulk."""
        return self._recovery.queue.control_frames

    @property
    def queued_bulk_bytes(self) -> int:
        """Bytes of bulk bodies waiting for their first transmission, most of them for credit."""
        return self._recovery.queue.bulk_bytes_waiting

    @property
    def queued_datagram_frames(self) -> int:
        """DATAGRAM frames waiting for their transmission."""
        return len(self._recovery.queue.datagrams)

    @property
    def reassembly_bytes(self) -> int:
        """Bytes kept of bodies that are not whole yet."""
        return self._intake.reassembly.bytes_kept

    @property
    def reassembly_groups(self) -> int:
        """Bodies that are not whole yet."""
        return self._intake.reassembly.groups

    @property
    def in_flight_frames(self) -> int:
        """Frames transmitted and not acked."""
        return self._recovery.queue.in_flight_frames

    @property
    def congestion_window_bytes(self) -> int:
        """How many bytes the controller lets be in flight."""
        return self._recovery.congestion.window
