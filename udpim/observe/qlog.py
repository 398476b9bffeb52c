"""qlog: what a node does, as events that tools such as qvis show.

A file is a JSON text sequence (RFC 7464): a header, then one record for each event, each behind
the separator. Header and names follow qlog's main schema and its events of QUIC, version 0.3;
what QUIC has not is in the namespace ``udpim``. Times are milliseconds since the beginning.

Beside the stores: :mod:`udpim.observe.connection_trace` makes the events of connections, and
whoever makes a `Qlog` says where its records go. Never in it: payloads, tokens, keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from udpim.hop.trace import NewTrace
from udpim.observe.connection_trace import ConnectionTrace

SEPARATOR = "\x1e"
"""RFC 7464 §2.2: RS begins a text, and a line feed ends it."""
SUFFIX = ".sqlog"

Record = dict[str, Any]


class Qlog:
    """The log of one node."""

    def __init__(
        self, name: str, side: str, clock: Callable[[], float], put: Callable[[Record], object]
    ) -> None:
        """Begin a log without events.

        Args:
            name: The node's.
            side: ``client`` or ``server``.
            clock: Tells seconds since the beginning.
            put: Takes each record.
        """
        self._name = name
        self._side = side
        self._clock = clock
        self._put = put

    def header(self, reference_ms: float = 0.0) -> Record:
        """Return the first record of the file; the beginning was ``reference_ms`` after 1970."""
        return {
            "qlog_version": "0.3",
            "qlog_format": "JSON-SEQ",
            "title": f"udpim {self._name}",
            "trace": {
                "vantage_point": {"name": self._name, "type": self._side},
                "common_fields": {
                    "protocol_type": ["UDPIM"],
                    "time_format": "relative",
                    "reference_time": reference_ms,
                },
            },
        }

    def event(self, name: str, data: Record, group: str | None = None) -> None:
        """Note that something happens now.

        Args:
            name: Category and type, as in ``recovery:packet_lost``.
            data: What belongs to it.
            group: Which connection; None for the whole node.
        """
        record: Record = {"time": in_ms(self._clock()), "name": name, "data": data}
        if group is not None:
            record["group_id"] = group
        self._put(record)

    @property
    def new_trace(self) -> NewTrace:
        """For `HopConfig.trace` of this node."""
        return lambda role, cid: ConnectionTrace(self.event, role, cid)


def in_ms(seconds: float) -> float:
    """Return a time as it stands in a record."""
    return round(seconds * 1000, 6)


def text_of(record: Record) -> str:
    """Return a record as it stands in the file."""
    return f"{SEPARATOR}{json.dumps(record, ensure_ascii=False, separators=(',', ':'))}\n"
