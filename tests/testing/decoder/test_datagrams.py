"""Datagrams from the outside, against the golden vectors and against the product's codec."""

import pytest
from hypothesis import given, settings

from tests.testing.decoder.verdicts import REFUSED, verdict
from tests.wire import hop_strategies as hs
from tests.wire.hop_vectors import load, long_packet_fields
from tests.wire.test_hop_schema import by_struct
from udpim.errors import DecodeError
from udpim.testing.decoder.datagrams import (
    DATAGRAM_BYTES_MAX,
    PATTERNS,
    SUITES,
    is_long,
    parse_long,
    plain_frames,
)
from udpim.testing.decoder.frames import parse_frames
from udpim.wire import packet as product

SECURE_HELLO = 0xC1


def own(data):
    """What the decoder says, in the product's form; None if it refuses."""
    try:
        if not is_long(data):
            frames = parse_frames(plain_frames(data))
            return data[0], data[1:9], int.from_bytes(data[9:13], "big"), frames
        packet = parse_long(data)
    except DecodeError:
        return None
    theirs = by_struct(data)
    if theirs is None:
        return packet
    names = {"cid": "destination_cid"}
    return data[0], {name: getattr(packet, names.get(name, name)) for name in theirs[1]}


def differs_for_a_reason(data):
    """Whether only the decoder refuses these bytes.

    §2.8: the pattern and the suite of a HELLO are of its tables; the product's server is silent to
    others, for by then its mac has to be right.
    """
    return data[0] == SECURE_HELLO and (data[17] not in PATTERNS or data[18] not in SUITES)


def agreed(data):
    mine, theirs = own(data), by_struct(data)
    if mine != theirs:
        assert mine is None
        assert differs_for_a_reason(data)


@pytest.mark.parametrize(("data", "entry"), load("long_packets"))
def test_golden_long_packets_are_read(data, entry):
    packet = parse_long(data)
    names = {"cid": "destination_cid"}
    told = long_packet_fields(entry["value"])
    assert entry["type"] == packet.label
    assert told == {name: getattr(packet, names.get(name, name)) for name in told}


@pytest.mark.parametrize(("data", "entry"), load("short_packets"))
def test_golden_short_packets_are_read(data, entry):
    value = entry["value"]
    assert (value["cid"], value["packet_number"]) == (own(data)[1].hex(), own(data)[2])


@pytest.mark.parametrize(("data", "entry"), load("refused_datagrams"))
def test_refused_datagrams_are_refused(data, entry):
    assert own(data) is None


@given(hs.damaged(hs.short_bodies()).map(hs.checksummed))
@settings(max_examples=100)
def test_damaged_short_packets_get_one_verdict(data):
    agreed(data)


@given(hs.damaged((hs.LONG_PACKETS | hs.SECURE_PACKETS).map(product.encode_long)))
@settings(max_examples=200)
def test_damaged_long_packets_get_one_verdict(data):
    agreed(data)


@given(hs.damaged(hs.LONG_PACKETS.map(lambda p: product.encode_long(p)[:-4])).map(hs.checksummed))
@settings(max_examples=100)
def test_damaged_long_packets_with_a_right_checksum_get_one_verdict(data):
    agreed(data)


@pytest.mark.parametrize("first", range(256))
def test_every_first_byte_gets_one_verdict(first):
    for size in (0, 1, 24, 31, 299, 400):
        agreed(bytes((first,)) + bytes(size))


@pytest.mark.parametrize(
    "whole", [v.values[0] for v in load("long_packets") + load("short_packets")]
)
def test_every_cut_gets_one_verdict_and_a_longer_datagram_than_allowed_is_refused(whole):
    for size in range(len(whole)):
        agreed(whole[:size])
    too_long = hs.checksummed(whole[:-4].ljust(DATAGRAM_BYTES_MAX - 3, b"\0"))
    assert REFUSED == verdict(parse_long if is_long(whole) else plain_frames, too_long)
