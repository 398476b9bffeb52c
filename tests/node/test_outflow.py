"""What a client puts into its connection: receipts first, and no more than the hop has room for."""

from dataclasses import replace

from tests.node.harness import Client, Net, Server, message, with_raw_server
from udpim.hop.config import HopConfig
from udpim.model import MessageState
from udpim.wire import im_packets as p


class NarrowHop(HopConfig):
    """Allows the peer few frames in flight, and itself the usual number."""

    def parameters(self, reset_token=None):
        return replace(HopConfig.parameters(self, reset_token), frame_window=16)


def test_receipts_wait_in_the_inbox_while_the_hop_has_enough_to_send():
    net, raw, client = with_raw_server(hop=NarrowHop(), hop_frames_max=4)
    take = raw.last.take
    raw.last.take = lambda packet, now: None
    for seq in range(1, 40):
        raw.say(message(seq))
        net.run(0.05)
    assert 39 == len(client.received)
    assert client.node.connection.queued_frames <= 5
    raw.last.take = take
    net.run(5)
    receipts = [packet for packet in raw.got if isinstance(packet, p.AckR)]
    ranges = [part for packet in receipts for part in packet.delivered]
    assert set(range(1, 40)) == {seq for a, b in ranges for seq in range(a, b + 1)}


def test_payloads_wait_in_the_outbox_while_the_hop_has_enough_of_them():
    net = Net()
    Server(net)
    client = Client(net, hop_bytes_max=100_000).login()
    tablet = Client(net, "alice/tablet").login()
    payloads = [bytes([n]) * 300_000 for n in range(5)]
    stream, first = client.send("alice", *payloads)
    waiting = []
    limit = net.now + 60
    while tablet.received != payloads:
        assert net.step(limit)
        waiting.append(client.node.connection.queued_bulk_bytes)
    assert 100_000 < max(waiting) < 100_000 + 300_000 + 100, "one payload may go beyond"
    net.run(1)
    assert {MessageState.DELIVERED} == {stream.state(first + n) for n in range(5)}
