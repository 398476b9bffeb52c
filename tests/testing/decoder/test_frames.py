"""Frames, against the golden vectors and against the product's codec."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.testing.decoder.verdicts import REFUSED, verdict
from tests.wire import hop_strategies as hs
from tests.wire.hop_vectors import frames_of, load
from udpim.errors import DecodeError
from udpim.testing.decoder.frames import parse_frames
from udpim.wire import frames as product


def encoded(frames):
    return b"".join(map(hs.encode_frame, frames))


@pytest.mark.parametrize(("data", "entry"), load("short_packets"))
def test_golden_vectors_are_read(data, entry):
    assert frames_of(entry["value"]) == parse_frames(data[13:-4])


@given(st.lists(hs.FRAMES, min_size=1, max_size=8))
@settings(max_examples=100)
def test_what_the_product_writes_is_read_as_it_was_meant(frames):
    assert frames == parse_frames(encoded(frames))


@given(hs.damaged(st.lists(hs.FRAMES, min_size=1, max_size=4).map(encoded)).filter(bool))
@settings(max_examples=200)
def test_damaged_frames_get_one_verdict(data):
    assert verdict(product.parse_frames, data) == verdict(parse_frames, data)


@given(st.binary(min_size=1, max_size=80))
def test_garbage_gets_one_verdict(data):
    assert verdict(product.parse_frames, data) == verdict(parse_frames, data)


@pytest.mark.parametrize("kind", range(256))
def test_every_type_that_is_cut_gets_one_verdict(kind):
    for size in range(20):
        data = bytes((kind,)) + bytes(size)
        assert verdict(product.parse_frames, data) == verdict(parse_frames, data)


@pytest.mark.parametrize("kind", [0x11, 0x3F, 0x80, 0xFF])
def test_unknown_types_are_refused(kind):
    assert REFUSED == verdict(parse_frames, bytes((kind,)) + bytes(30))


def test_packet_without_a_frame_is_refused():
    with pytest.raises(DecodeError):
        parse_frames(b"")
