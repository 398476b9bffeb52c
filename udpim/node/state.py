"""Where a client's link to its server is: every state and every transition (PROTOCOL §4.2).

::

    IDLE ──dial──► DIALING ──connected──► LOGGING_IN ──welcome──► ONLINE
                      ▲  └──lost──┐           └──lost──┐             │
                      └──retry── WAITING ◄─────────────┴────lost─────┘
    any ──stop──► CLOSED      (a refused login, a replaced session, a failed store, close())
"""

from __future__ import annotations

from enum import Enum


class LinkState(Enum):
    """State of the link."""

    IDLE = "idle"
    """Never dialled."""
    DIALING = "dialing"
    """HELLOs are on their way."""
    LOGGING_IN = "logging in"
    """A connection stands, the login is not answered."""
    ONLINE = "online"
    """The session is up."""
    WAITING = "waiting"
    """Backing off before the next dial."""
    CLOSED = "closed"
    """For good."""


class LinkInput(Enum):
    """What moves the link."""

    DIAL = "dial"
    CONNECTED = "connected"
    WELCOME = "welcome"
    LOST = "lost"
    STOP = "stop"


TRANSITIONS: dict[tuple[LinkState, LinkInput], LinkState] = {
    (LinkState.IDLE, LinkInput.DIAL): LinkState.DIALING,
    (LinkState.WAITING, LinkInput.DIAL): LinkState.DIALING,
    (LinkState.DIALING, LinkInput.CONNECTED): LinkState.LOGGING_IN,
    (LinkState.LOGGING_IN, LinkInput.WELCOME): LinkState.ONLINE,
    (LinkState.DIALING, LinkInput.LOST): LinkState.WAITING,
    (LinkState.LOGGING_IN, LinkInput.LOST): LinkState.WAITING,
    (LinkState.ONLINE, LinkInput.LOST): LinkState.WAITING,
    **{(state, LinkInput.STOP): LinkState.CLOSED for state in LinkState},
}
