"""udpim: an instant-messaging transport over UDP, with receipts that are true.

Start with `connect` and `Server`; every error is an `Error`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from udpim.aside import Aside, AsideMessage
    from udpim.client import Client
    from udpim.clustering import Cluster
    from udpim.config import ClientConfig, Limits, ServerConfig
    from udpim.connecting import Connecting, connect
    from udpim.errors import (
        AsideFull,
        ConfigError,
        ConnectError,
        ConnectionClosed,
        ConnectTimeout,
        DeliveryError,
        DeliveryRejected,
        DeliveryTimeout,
        DeliveryVoid,
        Error,
        GroupRefused,
        HandshakeFailed,
        LocalProtocolError,
        LoginError,
        NotHome,
        OutboxFull,
        PayloadTooLarge,
        PresenceError,
        PresenceRefused,
        ProtocolError,
        RemoteProtocolError,
        ServerKeyChanged,
        StoreError,
        StoreFenced,
        StoreFormat,
        StoreFull,
        StoreLocked,
        TooManyInquiries,
        UnknownUser,
    )
    from udpim.groups import Groups
    from udpim.hooks import Admitted, HookChoice, LoginRequest, PresenceRequest, SendRequest
    from udpim.im.audience import Progress
    from udpim.im.group_desk import GroupRequest
    from udpim.inspecting import OfferedMessage, Reroute
    from udpim.message import Message
    from udpim.model import (
        Endpoint,
        GroupAction,
        GroupCode,
        MessageState,
        MsgId,
        RejectCode,
        StreamId,
    )
    from udpim.node.effects import NotifyOffline
    from udpim.node.state import LinkState
    from udpim.presence import DevicePresence, Presence
    from udpim.receipt import Receipt
    from udpim.server import Listening, Server
    from udpim.signals import Signal
    from udpim.store.memory import MemoryStore
    from udpim.store.sqlite import SQLiteStore

__version__ = "0.1.0"

__all__ = [
    "Admitted",
    "Aside",
    "AsideFull",
    "AsideMessage",
    "Client",
    "ClientConfig",
    "Cluster",
    "ConfigError",
    "ConnectError",
    "ConnectTimeout",
    "Connecting",
    "ConnectionClosed",
    "DeliveryError",
    "DeliveryRejected",
    "DeliveryTimeout",
    "DeliveryVoid",
    "DevicePresence",
    "Endpoint",
    "Error",
    "GroupAction",
    "GroupCode",
    "GroupRefused",
    "GroupRequest",
    "Groups",
    "HandshakeFailed",
    "HookChoice",
    "Limits",
    "LinkState",
    "Listening",
    "LocalProtocolError",
    "LoginError",
    "LoginRequest",
    "MemoryStore",
    "Message",
    "MessageState",
    "MsgId",
    "NotHome",
    "NotifyOffline",
    "OfferedMessage",
    "OutboxFull",
    "PayloadTooLarge",
    "Presence",
    "PresenceError",
    "PresenceRefused",
    "PresenceRequest",
    "Progress",
    "ProtocolError",
    "Receipt",
    "RejectCode",
    "RemoteProtocolError",
    "Reroute",
    "SQLiteStore",
    "SendRequest",
    "Server",
    "ServerConfig",
    "ServerKeyChanged",
    "Signal",
    "StoreError",
    "StoreFenced",
    "StoreFormat",
    "StoreFull",
    "StoreLocked",
    "StreamId",
    "TooManyInquiries",
    "UnknownUser",
    "__version__",
    "connect",
]

# Found at the first use: whoever imports one floor of the package loads no other.
_HOMES = {
    "aside": ("Aside", "AsideMessage"),
    "client": ("Client",),
    "clustering": ("Cluster",),
    "config": ("ClientConfig", "Limits", "ServerConfig"),
    "connecting": ("Connecting", "connect"),
    "hooks": ("Admitted", "HookChoice", "LoginRequest", "PresenceRequest", "SendRequest"),
    "inspecting": ("OfferedMessage", "Reroute"),
    "groups": ("Groups",),
    "im.audience": ("Progress",),
    "im.group_desk": ("GroupRequest",),
    "message": ("Message",),
    "model": (
        "Endpoint",
        "GroupAction",
        "GroupCode",
        "MessageState",
        "MsgId",
        "RejectCode",
        "StreamId",
    ),
    "node.effects": ("NotifyOffline",),
    "node.state": ("LinkState",),
    "presence": ("DevicePresence", "Presence"),
    "receipt": ("Receipt",),
    "server": ("Listening", "Server"),
    "signals": ("Signal",),
    "store.memory": ("MemoryStore",),
    "store.sqlite": ("SQLiteStore",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a public name from the module that it lives in."""
    if name not in __all__:
        raise AttributeError(f"module 'udpim' has no attribute {name!r}")
    value: object = getattr(import_module(f"udpim.{_HOME.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__]
