"""Everything that a node counts, as plain values with units in their names.

For reports: `udpim.client.Client.stats` and `udpim.server.Listening.stats` add what is theirs.
README explains every key; tests/node/test_stats.py finds a counter that is missing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from udpim.hop.connection import Connection
from udpim.im.router import Router
from udpim.node.client import ClientNode
from udpim.node.server import ServerNode


def client_stats(node: ClientNode) -> dict[str, Any]:
    """Return what a client node has counted, and how full its tables are now."""
    totals, connection = node.hop_totals(), node.connection
    drops = {
        "node": node.drops,
        "outbox": node.outbox.drops,
        "inbox": node.inbox.drops,
        "hop": totals.drops,
    }
    return {
        "state": node.state.value,
        "payload_bytes_max": node.payload_bytes_max,
        "outbox": {**node.outbox.sizes(), "resent_messages": node.outbox.resent_messages},
        "inbox": {
            **node.inbox.sizes(),
            "duplicates": node.inbox.duplicates,
            "set_aside": node.inbox.aside.count,
            "receipts_acknowledged": node.receipts_acknowledged,
        },
        "presence_questions": len(node.inquiries),
        "hop": {
            **asdict(totals.stats),
            **_sizes([] if connection is None else [connection]),
            "smoothed_rtt_s": 0.0 if connection is None else connection.rtt.smoothed_rtt,
            "congestion_window_bytes": (
                0 if connection is None else connection.congestion_window_bytes
            ),
            "keepalive_s": 0.0 if connection is None else connection.keepalive_s,
        },
        "drops": _flat(drops),
    }


def server_stats(node: ServerNode) -> dict[str, Any]:
    """Return what a server node has counted, and how full its tables are now."""
    totals, listener = node.hop_totals(), node.listener
    drops = {
        "node": node.drops,
        "router": node.router.drops,
        "listener": listener.drops,
        "hop": totals.drops,
    }
    return {
        **node.sizes(),
        "revoked_logins": node.revoked_logins,
        "router": _router_sizes(node.router),
        "listener": {
            **asdict(listener.stats),
            "handshakes": listener.handshakes,
            "unproven_handshakes": listener.unproven_handshakes,
        },
        "hop": {**asdict(totals.stats), **_sizes(node.connections())},
        "drops": _flat(drops),
    }


def _router_sizes(router: Router) -> dict[str, int]:
    sessions = router.sessions.values()
    return {
        **router.registry.sizes(),
        "held_bytes": router.delivery.held.total(),
        "pushed_messages": sum(session.unreceipted for session in sessions),
        "pushed_bytes": sum(session.pushed_bytes for session in sessions),
        "queued_messages": router.queue.total(),
        "expired_messages": router.delivery.expired_messages,
        "receipt_rows": len(router.receipts),
        "commits_waiting": len(router.ledger),
    }


def _sizes(connections: Sequence[Connection]) -> dict[str, int]:
    """Add up how full the tables of all present connections are."""
    return {name: sum(getattr(c, name) for c in connections) for name in _TABLES}


_TABLES = (
    "queued_frames",
    "queued_control_frames",
    "queued_bulk_bytes",
    "queued_datagram_frames",
    "in_flight_frames",
    "reassembly_bytes",
    "reassembly_groups",
)
"""Properties of a connection."""


def _flat(drops: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Join the drop counters of several machines: ``"machine: reason"`` → count."""
    return {
        f"{machine}: {reason}": count
        for machine, reasons in drops.items()
        for reason, count in reasons.items()
    }
