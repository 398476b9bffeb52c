"""Who hears a signal: the sessions that a conversation has at this moment (PROTOCOL §4.5.19).

Asked by the server node for every signal:R. Signals are not messages, so this knows nothing of
streams, memberships in the past, or queues.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from udpim.im.devices import Registry
from udpim.im.groups import Groups
from udpim.im.session import Session
from udpim.model import Endpoint, is_group


def recipients(
    conversation: str,
    sender: Endpoint,
    *,
    registry: Registry,
    groups: Groups,
    sessions: Mapping[Endpoint, Session],
) -> list[Session]:
    """Return the sessions that hear what ``sender`` signals to ``conversation``.

    Args:
        conversation: The recipient's user name, or a group that the sender belongs to.
        sender: Whose session the signal came from; it does not hear itself.
        registry: Knows the devices of users.
        groups: Knows the members of groups.
        sessions: Everybody who is logged in.
    """
    endpoints: Iterable[Endpoint]
    if is_group(conversation):
        group = groups.get(conversation)
        endpoints = group.lines if group is not None and sender.user in group.users else ()
    else:
        endpoints = (Endpoint(conversation, device) for device in registry.devices(conversation))
    return [
        session
        for endpoint in endpoints
        if endpoint != sender and (session := sessions.get(endpoint)) is not None
    ]
