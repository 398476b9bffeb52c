"""The declarations and the struct codecs are one format: equal values, or both refuse."""

import zlib
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire import hop_strategies as hs
from tests.wire.hop_vectors import frames_of, load, long_packet_fields
from udpim.errors import DecodeError
from udpim.wire import frames as f
from udpim.wire import hop_schema as schema
from udpim.wire import packet as p
from udpim.wire.parameters import encode_parameters, parse_parameters


def frame_tuple(frame):
    """A declared frame as the struct codec's tuple; None for PADDING."""
    if frame.type == f.PADDING:
        return None
    fields = frame.fields
    names = {
        f.PING: (),
        f.ACK: ("largest", "delay", "bitmap", "bitmap_bytes"),
        f.CLOSE: ("code", "reason"),
        f.MESSAGE: ("hop_seq", "body"),
        f.PATH_CHALLENGE: ("data",),
        f.PATH_RESPONSE: ("data",),
        f.FRAGMENT: ("hop_seq", "group", "index", "count", "body"),
        f.CREDIT: ("bulk_bytes_max",),
        f.BULK: ("hop_seq", "body"),
        f.NEW_CID: ("sequence", "cid", "reset_token"),
        f.RETIRE_CID: ("sequence",),
        f.BINDING_PROBE: ("data",),
        f.BINDING_ASK: ("data",),
        f.BINDING_ANSWER: ("data",),
        f.BINDING_REPORT: ("data", "sent"),
    }.get(frame.type, ("body",))
    return (frame.type, *(fields[name] for name in names))


def frame_tuples(frames):
    return [t for t in map(frame_tuple, frames) if t is not None]


def by_schema(data):
    """What the declarations say: comparable values, or None if they refuse."""
    try:
        value = schema.parse_datagram(data)
    except DecodeError:
        return None
    assert schema.build_datagram(value) == data, "what was parsed builds the same bytes"
    if value.form == "short":
        frames = frame_tuples(value.frames)
        return (value.flags, value.destination_cid, value.packet_number, frames)
    hidden = ("form", "type", "version", "flags", "padding")
    fields = {k: v for k, v in value.items() if k not in hidden and not k.startswith("_")}
    if value.type == "VERSION":
        fields["versions"] = tuple(fields["versions"])
    return (value.flags, fields)


def by_struct(data):
    """What the hot codecs say of the same datagram."""
    try:
        if data and p.is_long(data):
            return (data[0], asdict(p.parse_long(data)))
        flags, cid, number = p.parse_short_header(data)
        intact = zlib.crc32(data[:-4]).to_bytes(4, "big") == data[-4:]
        if flags != p.PLAIN_SHORT_FLAGS or not intact:
            return None
        return (flags, cid, number, f.parse_frames(data[13:-4]))
    except DecodeError:
        return None


@given(hs.damaged(hs.short_bodies()).map(hs.checksummed))
@settings(max_examples=300)
def test_both_agree_on_short_packets_whole_cut_changed_and_longer(data):
    assert by_schema(data) == by_struct(data)


@given(hs.damaged(hs.LONG_PACKETS.map(lambda packet: p.encode_long(packet)[:-4])))
@settings(max_examples=300)
def test_both_agree_on_long_packets_whole_cut_changed_and_longer(body):
    for data in (hs.checksummed(body), body):
        assert by_schema(data) == by_struct(data)


@given(hs.damaged(hs.LONG_PACKETS.map(p.encode_long)))
def test_both_agree_on_damage_that_the_checksum_finds(data):
    assert by_schema(data) == by_struct(data)


@given(hs.damaged(hs.SECURE_PACKETS.map(p.encode_long)))
@settings(max_examples=300)
def test_both_agree_on_packets_of_the_encrypted_handshake(data):
    assert by_schema(data) == by_struct(data)


@given(st.binary(max_size=340))
def test_both_agree_on_garbage(data):
    assert by_schema(data) == by_struct(data)
    assert by_schema(hs.checksummed(data)) == by_struct(hs.checksummed(data))


@given(hs.damaged(hs.PARAMETERS.map(encode_parameters)))
def test_both_agree_on_parameters(payload):
    try:
        declared = {e.name: e.value for e in schema.parse_strictly(schema.PARAMETERS, payload)}
    except DecodeError:
        with pytest.raises(DecodeError):
            parse_parameters(payload)
        return
    parsed = parse_parameters(payload)
    assert parsed.idle_timeout_s == declared["idle_timeout_ms"] / 1e3
    assert parsed.max_datagram_bytes == declared["max_datagram_bytes"]
    assert parsed.frame_window == declared["frame_window"]
    assert parsed.max_ack_delay_s == declared["max_ack_delay_us"] / 1e6
    assert parsed.reset_token == declared.get("reset_token")
    assert parsed.nonce == declared["nonce"]
    assert parsed.bulk_window_bytes == declared.get("bulk_window_bytes", f.BODY_BYTES_MAX)
    assert parsed.connection_id == declared.get("connection_id")


@given(hs.FRAMES)
def test_the_declaration_builds_what_struct_builds(frame):
    data = hs.encode_frame(frame)
    declared = schema.parse_strictly(schema.FRAME, data)
    assert frame_tuple(declared) == frame
    assert schema.FRAME.build(declared) == data


@pytest.mark.parametrize(("data", "entry"), load("short_packets"))
def test_short_packet_vectors(data, entry):
    value = entry["value"]
    cid = bytes.fromhex(value["cid"])
    assert by_schema(data) == (1, cid, value["packet_number"], frames_of(value))


@pytest.mark.parametrize(("data", "entry"), load("long_packets"))
def test_long_packet_vectors(data, entry):
    assert schema.parse_datagram(data).type == entry["type"]
    assert by_schema(data) == (data[0], long_packet_fields(entry["value"]))


@pytest.mark.parametrize(("data", "entry"), load("parameters"))
def test_parameter_vectors(data, entry):
    declared = {e.name: e.value for e in schema.parse_strictly(schema.PARAMETERS, data)}
    for name, value in entry["value"].items():
        expected = bytes.fromhex(value) if isinstance(value, str) else value
        assert declared.get(name) == expected


@pytest.mark.parametrize(("data", "entry"), load("refused_datagrams"))
def test_refused_datagrams_are_refused_by_both(data, entry):
    with pytest.raises(DecodeError):
        schema.parse_datagram(data)
    assert by_struct(data) is None


@pytest.mark.parametrize(("data", "entry"), load("refused_parameters"))
def test_refused_parameters_are_refused(data, entry):
    with pytest.raises(DecodeError):
        schema.parse_strictly(schema.PARAMETERS, data)
