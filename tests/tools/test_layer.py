# SPDX-License-Identifier: GPL-2.0-only
"""The scapy datagrams and the declarations are one format, over generated datagrams."""

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw, split_bottom_up

from tests.tools.scapy_values import im_packet_of, rebuilt
from tests.tools.test_layer_frames import plain, scapy_frame
from tests.wire import hop_strategies as hs
from tests.wire.strategies import packets
from udpim.wire import frames as f
from udpim.wire import hop_schema, im_codec, im_schema
from udpim.wire import packet as p
from udpim.wire.im_packets import Kind
from udpim.wire.parameters import encode_parameters
from udpim_tools import layer
from udpim_tools.layer_frames import UDPIMMessage, UDPIMPadding, UDPIMPing

LONG_CLASSES = {
    "HELLO": layer.UDPIMHello,
    "RETRY": layer.UDPIMRetry,
    "WELCOME": layer.UDPIMWelcome,
    "RESET": layer.UDPIMReset,
    "VERSION": layer.UDPIMVersion,
}


@given(hs.short_bodies())
def test_short_packet_is_built_and_dissected_alike(body):
    data = hs.checksummed(body)
    value = hop_schema.parse_datagram(data)
    cid, number = value.destination_cid, value.packet_number
    frames = [scapy_frame(frame) for frame in value.frames]
    built = layer.UDPIMShort(destination_cid=cid, packet_number=number, frames=frames)
    assert hop_schema.build_datagram(value) == bytes(built)

    packet = layer.UDPIM(data)
    assert (cid, number) == (packet.destination_cid, packet.packet_number)
    assert data[-4:] == packet.checksum.to_bytes(4, "big")
    declared = [frame for frame in value.frames if frame.type != f.PADDING]
    dissected = [frame for frame in packet.frames if not isinstance(frame, UDPIMPadding)]
    assert [frame.type for frame in declared] == [frame.type for frame in dissected]
    for ours, theirs in zip(declared, dissected, strict=True):
        shown = {k: v for k, v in theirs.fields.items() if k in plain(ours)}
        if ours.type in (f.MESSAGE, f.BULK, f.DATAGRAM):
            shown["body"] = bytes(theirs.body or b"")
        assert plain(ours) == shown
    assert data == rebuilt(packet)


def fit_a_datagram(values):
    return sum(7 + len(im_codec.encode(value)) for value in values) <= 1200 - 13 - 4


@given(st.lists(packets, min_size=1, max_size=3).filter(fit_a_datagram))
@settings(max_examples=60)  # test_layer_im.py looks at the IM packets themselves
def test_im_packets_travel_in_short_packets(values):
    parsed = [im_schema.parse(im_codec.encode(value)) for value in values]
    frames = [UDPIMMessage(hop_seq=7, body=im_packet_of(one)) for one in parsed]
    data = bytes(layer.UDPIMShort(frames=frames))
    value = hop_schema.parse_datagram(data)
    bodies = [frame.fields.body for frame in value.frames if frame.type == f.MESSAGE]
    assert parsed == [im_schema.parse(body) for body in bodies]
    labels = [Kind(one.kind).label for one in parsed]
    assert labels == [label for label in layer.labels_of(data) if label != "PADDING"]


@given(hs.LONG_PACKETS)
def test_long_packet_is_built_and_dissected_alike(value):
    data = p.encode_long(value)
    declared = hop_schema.parse_datagram(data)
    assert data == hop_schema.build_datagram(declared)
    hidden = ("flags", "form", "type", "version", "padding", "payload", "_io", "_end")
    fields = {k: v for k, v in declared.items() if k not in hidden}
    if declared.type == "VERSION":
        fields["versions"] = list(fields["versions"])
    given_fields = dict(fields)
    if "payload" in declared:
        given_fields["parameters"] = [Raw(declared.payload)]
    assert data == bytes(LONG_CLASSES[declared.type](**given_fields))

    packet = layer.UDPIM(data)
    assert LONG_CLASSES[declared.type] is type(packet)
    assert fields == {name: packet.getfieldval(name) for name in fields}
    if "payload" in declared:
        assert declared.payload == b"".join(map(bytes, packet.parameters))
    assert data == rebuilt(packet)
    assert [declared.type] == layer.labels_of(data)


SECURE_CLASSES = {
    "HELLO": layer.UDPIMSecureHello,
    "RETRY": layer.UDPIMSecureRetry,
    "WELCOME": layer.UDPIMSecureWelcome,
    "FINISH": layer.UDPIMFinish,
}


@given(hs.SECURE_PACKETS)
def test_packets_of_the_encrypted_handshake_are_built_and_dissected_alike(value):
    data = p.encode_long(value)
    declared = hop_schema.parse_datagram(data)
    hidden = ("flags", "form", "type", "version", "padding", "_io", "_end")
    renamed = {"payload": "noise"}
    fields = {renamed.get(k, k): v for k, v in declared.items() if k not in hidden}
    assert data == bytes(SECURE_CLASSES[declared.type](**fields))
    packet = layer.UDPIM(data)
    assert SECURE_CLASSES[declared.type] is type(packet)
    assert fields == {name: packet.getfieldval(name) for name in fields}
    assert data == rebuilt(packet)
    assert [declared.type] == layer.labels_of(data)


@given(hs.CIDS, hs.U32, st.binary(min_size=19, max_size=40), st.sampled_from([0x41, 0x61]))
def test_of_an_encrypted_short_packet_there_is_what_is_in_the_clear(cid, number, sealed, flags):
    data = p.encode_short_header(flags, cid, number) + sealed
    declared = hop_schema.parse_strictly(hop_schema.SEALED_SHORT, data)
    packet = layer.UDPIM(data)
    for name in ("destination_cid", "packet_number", "sealed"):
        assert declared[name] == packet.getfieldval(name)
    assert data == rebuilt(packet)
    assert ["encrypted"] == layer.labels_of(data)


@given(hs.PARAMETERS.map(encode_parameters), hs.CIDS)
def test_parameters_are_built_and_dissected_alike(payload, cid):
    declared = hop_schema.parse_strictly(hop_schema.PARAMETERS, payload)
    pairs = [(one.id, one.value) for one in declared]
    parameters = [layer.UDPIMParameter(id=key, value=value) for key, value in pairs]
    data = p.encode_long(p.Hello(source_cid=cid, token=b"", payload=payload))
    assert data == bytes(layer.UDPIMHello(source_cid=cid, parameters=parameters))
    packet = layer.UDPIM(data)
    assert pairs == [(one.id, one.value) for one in packet.parameters]
    assert data == rebuilt(packet)


@given(hs.damaged(hs.short_bodies()))
def test_damage_is_dissected_without_an_exception_and_shown_as_it_is(body):
    data = bytes(UDP(sport=5, dport=layer.PORT) / hs.checksummed(body))
    assert data == bytes(UDP(data))
    assert layer.labels_of(hs.checksummed(body))


@given(st.binary(max_size=60))
def test_garbage_gets_labels(data):
    padded = b"\x01" + data.ljust(40)
    for datagram in (data, padded):
        assert all(label for label in layer.labels_of(datagram))


def test_labels_stand_in_the_order_of_the_frames():
    body = (
        f.encode_ack(9, 0, 1, 1) + f.encode_message(1, b"\x01") + f.encode_message(2, b"\x06")
    ).ljust(40, b"\0")
    data = hs.checksummed(p.encode_short_header(p.PLAIN_SHORT_FLAGS, bytes(8), 1) + body)
    assert ["ACK", "msg:R", "ack:N", "PADDING"] == layer.labels_of(data)


def test_other_datagrams_are_other():
    assert ["other"] == layer.labels_of(b"")
    assert ["other"] == layer.labels_of(b"\x41 encrypted")
    assert Raw is type(layer.UDPIM(b"\x41 encrypted"))


def test_checksum_and_padding_are_computed_unless_they_are_given():
    assert 32 == len(bytes(layer.UDPIMShort(frames=[UDPIMPing()])))
    assert 300 == len(bytes(layer.UDPIMHello()))
    assert 13 + 1 + 4 == len(bytes(layer.UDPIMShort(frames=[UDPIMPing()], checksum=0)))


def test_both_directions_of_port_9000_are_dissected():
    for ports in ({"sport": 9000, "dport": 5}, {"sport": 5, "dport": 9000}):
        packet = IP(bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(**ports) / layer.UDPIMShort()))
        assert packet.haslayer(layer.UDPIMShort)
    assert (9000, 9000) == ((UDP() / layer.UDPIMShort()).sport, (UDP() / layer.UDPIM()).dport)


def test_another_port_can_be_bound():
    datagram = bytes(UDP(sport=5, dport=9123) / bytes(layer.UDPIMShort()))
    assert not UDP(datagram).haslayer(layer.UDPIMShort)
    layer.bind_port(9123)
    try:
        assert UDP(datagram).haslayer(layer.UDPIMShort)
    finally:
        split_bottom_up(UDP, layer.UDPIM, dport=9123)
        split_bottom_up(UDP, layer.UDPIM, sport=9123)
