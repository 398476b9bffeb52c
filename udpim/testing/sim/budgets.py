"""How much a node may keep: its tables against the limits that it was given, sampled in time.

What an inbox keeps of a stream is I6; here are the tables that peers and applications fill.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from udpim.config import Limits
from udpim.hop.connection import Connection
from udpim.testing.cluster import Member
from udpim.testing.nodes import VirtualClient, VirtualServer
from udpim.testing.oracle import Oracle
from udpim.testing.world import World
from udpim.wire.im_codec import SECTION_ENTRY_BYTES
from udpim.wire.im_schema import SECTION_BYTES_MAX

SECTION_MESSAGES_MAX = SECTION_BYTES_MAX // SECTION_ENTRY_BYTES
"""Most messages in one frame."""
STEERING_MAX = 8
"""Frames of the hop itself: credit, and ids that are given and given back."""
Table = tuple[str, int, int]
"""Its name, how much is in it, and its limit."""


def over_budget(world: World) -> None:
    """Look at every process that is up.

    Raises:
        Violated: ``state_budget``, if a table is larger than its limit.
    """
    Oracle.refuse([("state_budget", story) for story in _excesses(world)])


def _excesses(world: World) -> Iterator[str]:
    for process in world.processes:
        if not process.up:
            continue
        tables: Iterable[Table]
        if isinstance(process, Member):
            tables = _of_server(process.node) if process.node.up else ()
        elif isinstance(process, VirtualServer):
            tables = _of_server(process)
        else:
            assert isinstance(process, VirtualClient)
            tables = _of_client(process)
        for name, size, most in tables:
            if size > most:
                yield f"{process.host} keeps {size} of {name}, its limit is {most}"


def _of_client(client: VirtualClient) -> Iterator[Table]:
    limits, node = client.config.limits, client.node
    outbox = node.outbox.sizes()
    yield "outbox messages", outbox["open_messages"], limits.outbox_messages_max
    yield "outbox bytes", outbox["open_bytes"], limits.outbox_bytes_max
    if node.connection is not None:
        yield from _of_connection(node.connection, limits)


def _of_server(server: VirtualServer) -> Iterator[Table]:
    limits, node = server.config.limits, server.node
    yield "sessions", len(node.router.sessions), limits.sessions_max
    yield "handshakes", node.listener.handshakes, limits.handshakes_max
    for session in node.router.sessions.values():
        # The messages of one frame may go beyond, see the limit.
        most = limits.session_messages_max - 1 + SECTION_MESSAGES_MAX
        yield "unreceipted messages", session.unreceipted, most
    for connection in node.connections():
        yield from _of_connection(connection, limits)


def _of_connection(connection: Connection, limits: Limits) -> Iterator[Table]:
    # The window counts from the lowest unacked one; and there are the frames that steer.
    most = limits.window_frames + 1 + STEERING_MAX
    yield "frames in flight", connection.in_flight_frames, most
    yield "bodies in pieces", connection.reassembly_groups, limits.reassembly_groups_max
    yield "signals", connection.queued_datagram_frames, limits.signals_waiting_max
