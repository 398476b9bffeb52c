"""Captured datagrams are named by what is in them."""

import pytest

from udpim.testing.wiretap import UNREADABLE, Wiretap
from udpim.wire import frames, im_codec
from udpim.wire.im_packets import AckA, MsgA, Nudge
from udpim.wire.packet import Hello, encode_long, encode_short_header

CID = bytes(range(8))


def read_one(datagram):
    return Wiretap().read(datagram)


def short(*parts):
    return encode_short_header(1, CID, 7) + b"".join(parts).ljust(20, b"\0") + b"tag!"


def test_every_frame_of_a_short_packet_has_a_label():
    content = read_one(
        short(
            frames.encode_ack(3, 0, 0, 0),
            frames.encode_message(5, im_codec.encode(MsgA(1, 0, ((1, 2),)))),
            frames.encode_message(6, im_codec.encode(Nudge())),
            frames.encode_message(7, b"\x90"),
            frames.encode_extension(0x41, b""),
        )
    )
    assert content.cid == CID
    assert content.labels == ("ACK", "msg:A", "nudge", "extension", "extension")
    assert content.packets == ((5, MsgA(1, 0, ((1, 2),))), (6, Nudge()))


def test_long_packets_are_named_by_their_type():
    hello = Hello(source_cid=CID, token=b"", payload=b"")
    content = read_one(encode_long(hello))
    assert content.labels == ("HELLO",)
    assert content.long == hello


@pytest.mark.parametrize(
    "garbage", [b"", b"\x01", b"\xff" * 60, short(frames.encode_message(1, b"\x07"))]
)
def test_garbage_is_unreadable_and_raises_nothing(garbage):
    assert read_one(garbage).labels == (UNREADABLE,)


def test_a_cut_im_packet_makes_the_datagram_unreadable():
    body = im_codec.encode(AckA(1, ((1, 1),)))[:-1]
    assert read_one(short(frames.encode_message(1, body))).labels == (UNREADABLE,)
