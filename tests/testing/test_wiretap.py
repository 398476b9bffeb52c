"""Captured datagrams are named by what is in them."""

import zlib

import pytest

from udpim.testing.decoder.datagrams import NO_CID, LongPacket
from udpim.testing.wiretap import LABELS, UNREADABLE, Wiretap
from udpim.wire import frames, im_codec
from udpim.wire.im_packets import AckA, MsgA, Nudge
from udpim.wire.packet import Hello, Welcome, encode_long, encode_short_header

CID = bytes(range(8))


def read_one(datagram):
    return Wiretap().read(datagram)


def short(*parts, cid=CID):
    packet = encode_short_header(1, cid, 7) + b"".join(parts).ljust(20, b"\0")
    return packet + zlib.crc32(packet).to_bytes(4, "big")


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
    content = read_one(encode_long(Hello(source_cid=CID, token=b"a", payload=b"bc")))
    assert content.labels == ("HELLO",)
    assert content.long == LongPacket("HELLO", False, NO_CID, CID, b"a", b"bc")
    assert content.cid == NO_CID


def test_both_ends_go_by_the_ids_of_the_handshake():
    tap = Wiretap()
    tap.read(encode_long(Welcome(destination_cid=b"client..", source_cid=b"server..", payload=b"")))
    there = tap.read(short(b"\1", cid=b"server.."))
    back = tap.read(short(frames.encode_new_cid(1, b"spare id", bytes(16)), cid=b"client.."))
    again = tap.read(short(b"\1", cid=b"spare id"))
    assert (b"server..", b"") == (there.cid, there.peer), "nothing went to the client yet"
    assert (b"client..", b"server..") == (back.cid, back.peer)
    assert (b"server..", b"client..") == (again.cid, again.peer)


def test_cut_or_changed_datagrams_are_unreadable():
    whole = short(frames.encode_message(6, im_codec.encode(Nudge())))
    assert read_one(whole).labels == ("nudge",)
    for at in range(len(whole)):
        assert read_one(whole[:at]).labels == (UNREADABLE,)
        changed = whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :]
        assert read_one(changed).labels == (UNREADABLE,)


@pytest.mark.parametrize(
    "garbage", [b"", b"\x01", b"\xff" * 60, short(frames.encode_message(1, b"\x07"))]
)
def test_garbage_is_unreadable_and_raises_nothing(garbage):
    assert read_one(garbage).labels == (UNREADABLE,)


def test_a_cut_im_packet_makes_the_datagram_unreadable():
    body = im_codec.encode(AckA(1, ((1, 1),)))[:-1]
    assert read_one(short(frames.encode_message(1, body))).labels == (UNREADABLE,)


def test_every_label_is_listed_once():
    assert len(LABELS) == len(set(LABELS))
    assert {"HELLO", "VERSION", "FINISH", "ACK", "msg:R", "ack:N", UNREADABLE} <= set(LABELS)
    assert read_one(short(frames.encode_extension(0x41, b""))).labels[0] in LABELS
