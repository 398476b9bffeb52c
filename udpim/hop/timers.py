"""The timers of a connection, by name, and the one deadline that they add up to."""

from __future__ import annotations

import enum
from math import inf


class Timer(enum.IntEnum):
    """Why a connection wants to be woken."""

    ACK = 0
    """Set when an ack is held back; cleared when it leaves."""
    LOSS = 1
    """Set while a packet older than an acked one is in flight: when it counts as lost."""
    PTO = 2
    """Set while packets are in flight and LOSS is not: when data is sent again unasked."""
    PROBE = 3
    """Set by a PTO for its second probe; cleared by any progress."""
    WINDOW = 4
    """Set while the window holds data back: one packet per round trip is always allowed."""
    IDLE = 5
    """Set by every packet taken: when silence ends the connection."""
    KEEPALIVE = 6
    """Clients: set by every packet taken and every PING it causes."""
    DEAD = 7
    """Set while frames are in flight, moved by every newly acked packet."""
    PACING = 8
    """Set while pacing holds data back that the window would let go."""
    CLOSING = 9
    """Set by close(): when nothing is answered any more."""
    KEYS = 10
    """Set when the peer has gone on to its next key: when the previous one is forgotten."""


_LOSS, _PTO = int(Timer.LOSS), int(Timer.PTO)
_WINDOW, _PACING = int(Timer.WINDOW), int(Timer.PACING)


class TimerTable:
    """One deadline per :class:`Timer`; infinity means not set."""

    __slots__ = ("_deadlines",)

    def __init__(self) -> None:
        """Nothing is set."""
        self._deadlines = [inf] * len(Timer)

    def set(self, timer: Timer, deadline: float | None) -> None:
        """Set a timer, or clear it with None."""
        self._deadlines[timer] = inf if deadline is None else deadline

    def due(self, timer: Timer, now: float) -> bool:
        """Whether this timer's time has come."""
        return self._deadlines[timer] <= now

    def is_set(self, timer: Timer) -> bool:
        """Whether this timer runs."""
        return self._deadlines[timer] != inf

    def next(self) -> float | None:
        """The earliest deadline."""
        deadline = min(self._deadlines)
        return None if deadline == inf else deadline

    def set_sending(
        self, loss: float | None, pto: float | None, window: float | None, pacing: float | None
    ) -> None:
        """Set or clear LOSS, PTO, WINDOW and PACING, at the end of every turn of sending."""
        deadlines = self._deadlines
        deadlines[_LOSS] = inf if loss is None else loss
        deadlines[_PTO] = inf if pto is None else pto
        deadlines[_WINDOW] = inf if window is None else window
        deadlines[_PACING] = inf if pacing is None else pacing

    def clear_all(self) -> None:
        """Nothing is set any more."""
        self._deadlines = [inf] * len(Timer)
