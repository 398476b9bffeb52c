"""From a hop packet to its IM packets."""

import pytest

from tests.im.helpers import run_of
from udpim.errors import DecodeError
from udpim.hop.intake import IncomingPacket
from udpim.node.packets import read_im_packets
from udpim.wire import im_packets as p
from udpim.wire.im_codec import encode

NUDGE = p.Nudge()
MSG_R = p.MsgR(1, None, 1, (p.EpochRun(1, 1),), 0, run_of(1, 2))
MSG_N = p.MsgN(1, None, 1, 1, run_of(1, 2))
OFFLINE_A = p.OfflineA(0, None, 1, 0, False, 1, 1, (), None)


SIGNAL_R = p.SignalR("bob", b"typing")
SIGNAL_N = p.SignalN("alice", "a", "bob", b"typing")


def incoming(*frames, bulk=0, datagrams=()):
    packet = IncomingPacket(0, ("192.0.2.1", 1), 1200)
    packet.frames, packet.bulk, packet.datagrams = list(frames), bulk, list(datagrams)
    return packet


def test_packets_are_read_in_order_and_unknown_kinds_are_none():
    frames = [encode(NUDGE), b"\xff?", encode(MSG_R)]
    assert [NUDGE, None, MSG_R] == read_im_packets(incoming(*frames, bulk=1))


@pytest.mark.parametrize("packet", [MSG_R, MSG_N, OFFLINE_A], ids=lambda p: type(p).__name__)
def test_payloads_do_not_bypass_flow_control(packet):
    assert [packet] == read_im_packets(incoming(encode(packet), bulk=1))
    with pytest.raises(DecodeError, match="outside of bulk"):
        read_im_packets(incoming(encode(packet), encode(packet), bulk=1))


def test_other_packets_may_come_as_bulk():
    assert [NUDGE] == read_im_packets(incoming(encode(NUDGE), bulk=1))


@pytest.mark.parametrize("signal", [SIGNAL_R, SIGNAL_N], ids=lambda p: type(p).__name__)
def test_a_signal_travels_where_nothing_is_sent_again_and_nowhere_else(signal):
    body = encode(signal)
    read = read_im_packets(incoming(encode(NUDGE), datagrams=[body, b"\xff?"]))
    assert [NUDGE, signal, None] == read
    for bulk in (0, 1):
        with pytest.raises(DecodeError, match="signal in a reliable frame"):
            read_im_packets(incoming(body, bulk=bulk))


@pytest.mark.parametrize("packet", [NUDGE, MSG_R], ids=lambda p: type(p).__name__)
def test_what_needs_an_ack_does_not_travel_where_nothing_is_sent_again(packet):
    with pytest.raises(DecodeError, match="sent once"):
        read_im_packets(incoming(datagrams=[encode(SIGNAL_R), encode(packet)]))


def test_malformed_signal_is_refused():
    with pytest.raises(DecodeError):
        read_im_packets(incoming(datagrams=[b"\x18"]))


def test_malformed_packet_is_refused():
    with pytest.raises(DecodeError):
        read_im_packets(incoming(b"\x01"))
