"""What the nodes do for flow control (PROTOCOL §3.8), over real connections in memory."""

import random

import pytest

from udpim.config import ServerConfig
from udpim.hop.config import HopConfig
from udpim.hop.dial import Dialer
from udpim.node.server import ServerNode
from udpim.store.state import StoreState

SERVER, CLIENT = ("192.0.2.1", 9000), ("198.51.100.7", 40_000)


@pytest.fixture
def server():
    return ServerNode(
        ServerConfig(),
        StoreState().server_snapshot(),
        durable=True,
        random_bytes=random.Random(1).randbytes,
        known_user=lambda user: False,
    )


def dialled(server):
    """The client's end of a connection that has not logged in."""
    dialer = Dialer(
        server=SERVER, config=HopConfig(), random_bytes=random.Random(2).randbytes, now=0.0
    )
    server.receive_datagrams([(data, CLIENT) for data, _ in dialer.datagrams_to_send(0.0)], 0.0)
    for data, _ in server.datagrams_to_send(0.0):
        dialer.receive_datagram(data, SERVER, 0.0)
    assert dialer.connection is not None
    return dialer.connection


def test_who_has_not_logged_in_gets_no_memory_for_bulk(server):
    connection = dialled(server)
    connection.send_frame(bytes(1024 * 1024), "large", 0.0, bulk=True)
    now = 0.0
    for _ in range(50):
        burst = [(data, CLIENT) for data, _ in connection.datagrams_to_send(now)]
        server.receive_datagrams(burst, now)
        server.datagrams_to_send(now)
        now = connection.next_timeout()
        connection.handle_timeout(now)
    (theirs,) = server.connections()
    assert theirs.drops["body in pieces without a session"] >= 10
    assert theirs.reassembly_bytes == 0
    assert connection.unacked_tags() == ["large"]
