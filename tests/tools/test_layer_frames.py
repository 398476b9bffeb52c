# SPDX-License-Identifier: GPL-2.0-only
"""The scapy frames and the declarations are one format, over generated frames."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.packet import Raw

from tests.tools.scapy_values import declared, dissected, im_packet_of, rebuilt
from tests.wire import hop_strategies as hs
from tests.wire.strategies import packets
from udpim.wire import frames as f
from udpim.wire import hop_schema, im_codec, im_schema
from udpim_tools import layer_frames as lf

IM_FRAMES = (f.MESSAGE, f.BULK, f.DATAGRAM)
"""Those whose body the layer reads as an IM packet."""


def frame_class(data):
    return lf.guess_frame(None, [], None, data)


def scapy_frame(frame):
    """A declared frame as a scapy packet."""
    fields = dict(frame.fields)
    fields.pop("_io", None)
    if "reason" in fields:
        fields["reason"] = fields["reason"].encode()
    if "bitmap" in fields:
        fields["bitmap"] = fields["bitmap"].to_bytes(fields.pop("bitmap_bytes"), "little")
    if frame.type in IM_FRAMES:
        fields["body"] = Raw(fields["body"])
    return frame_class(bytes((frame.type,)))(type=frame.type, **fields)


def plain(frame):
    """A declared frame's fields as the scapy packet shows them."""
    fields = {k: v for k, v in frame.fields.items() if k != "_io"}
    if "bitmap" in fields:
        fields["bitmap"] = fields["bitmap"].to_bytes(fields["bitmap_bytes"], "little")
    if "reason" in fields:
        fields["reason"] = fields["reason"].encode()
    return {"type": frame.type, **fields}


@given(hs.FRAMES.filter(lambda frame: frame[0] not in IM_FRAMES))
def test_frame_is_built_and_dissected_alike(frame):
    data = hs.encode_frame(frame)
    parsed = hop_schema.parse_strictly(hop_schema.FRAME, data)
    assert data == hop_schema.FRAME.build(parsed) == bytes(scapy_frame(parsed))
    packet = frame_class(data)(data)
    assert plain(parsed) == dissected(packet)
    assert data == rebuilt(packet)


@given(hs.U32, st.binary(max_size=80))
def test_message_of_any_bytes_is_built_again(hop_seq, body):
    for data, layer in (
        (f.encode_message(hop_seq, body), lf.UDPIMMessage),
        (f.encode_bulk(hop_seq, body), lf.UDPIMBulk),
        (f.encode_datagram(body), lf.UDPIMDatagram),
    ):
        parsed = hop_schema.parse_strictly(hop_schema.FRAME, data)
        assert data == bytes(scapy_frame(parsed))
        assert data == bytes(layer(data))


@given(hs.U32, packets)
@settings(max_examples=60)  # test_layer_im.py looks at the IM packets themselves
def test_message_holds_its_im_packet(hop_seq, value):
    parsed = im_schema.parse(im_codec.encode(value))
    body = im_packet_of(parsed)
    data = hop_schema.FRAME.build(
        {"type": f.MESSAGE, "fields": {"hop_seq": hop_seq, "body": bytes(body)}}
    )
    assert data == bytes(lf.UDPIMMessage(hop_seq=hop_seq, body=body))
    packet = lf.UDPIMMessage(data)
    assert declared(parsed) == dissected(packet.body)
    assert data == rebuilt(packet)


def test_padding_is_one_run():
    packet = lf.UDPIMPadding(bytes(5) + b"\x01")
    assert (bytes(4), b"\x01") == (packet.more, packet.payload.load)


@pytest.mark.parametrize("kind", [0x11, 0x3F, 0x80, 0xFF])
def test_unknown_frame_stays_raw(kind):
    assert Raw is lf.guess_frame(None, [], None, bytes((kind,)))
    assert Raw is lf.guess_outline(None, [], None, bytes((kind,)))


@pytest.mark.parametrize(
    ("data", "label"),
    [
        (f.encode_message(1, b"\x02..."), "msg:A"),
        (f.encode_message(1, b"\x7f"), "other"),
        (f.encode_bulk(1, b"\x01..."), "msg:R"),
        (f.encode_fragment(1, 2, 1, 2, b"x"), "FRAGMENT"),
        (f.encode_credit(9), "CREDIT"),
        (f.encode_datagram(b"\x19..."), "signal:N"),
        (f.encode_datagram(b""), "other"),
        (f.encode_message(1, b""), "other"),
        (b"\x00\x00", "PADDING"),
        (b"\x01", "PING"),
        (f.encode_ack(1, 2, 3, 1), "ACK"),
        (f.encode_close(1, "bye"), "CLOSE"),
        (f.encode_path(f.PATH_CHALLENGE, bytes(8)), "PATH_CHALLENGE"),
        (f.encode_path(f.PATH_RESPONSE, bytes(8)), "PATH_RESPONSE"),
        (f.encode_new_cid(1, bytes(8), bytes(16)), "NEW_CID"),
        (f.encode_retire_cid(1), "RETIRE_CID"),
        (f.encode_path(f.BINDING_PROBE, bytes(8)), "BINDING_PROBE"),
        (f.encode_path(f.BINDING_ASK, bytes(8)), "BINDING_ASK"),
        (f.encode_path(f.BINDING_ANSWER, bytes(8)), "BINDING_ANSWER"),
        (f.encode_binding_report(bytes(8), sent=True), "BINDING_REPORT"),
        (f.encode_extension(0x55, b"x"), "extension"),
        (b"\x3f", "other"),
    ],
)
def test_label_of_an_outline(data, label):
    assert label == lf.label_of(lf.guess_outline(None, [], None, data)(data))
