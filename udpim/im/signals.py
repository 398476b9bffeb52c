"""Who hears a signal: the sessions that a conversation has at this moment (PROTOCOL §4.5.19).

Asked by the server node for every signal:R. Signals are not messages, so this knows nothing of
streams, memberships in the past, or queues.
"""

from __future__ import annotations

from collections.abc import Mapping

from udpim.im.devices import Registry
from udpim.im.session import Session
from udpim.model import Endpoint


def recipients(
    conversation: str,
    sender: Endpoint,
    *,
    registry: Registry,
    sessions: Mapping[Endpoint, Session],
) -> list[Session]:
    """Return the sessions that hear what ``sender`` signals to ``conversation``.

    Args:
        conversation: The recipient's user name.
        sender: Whose session the signal came from; it does not hear itself.
        registry: Knows the devices of users.
        sessions: Everybody who is logged in.
    """
    endpoints = (Endpoint(conversation, device) for device in registry.devices(conversation))
    return [
        session
        for endpoint in endpoints
        if endpoint != sender and (session := sessions.get(endpoint)) is not None
    ]
