"""Hop frames, read and written with struct."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.hop_strategies import FRAMES, encode_frame
from tests.wire.hop_vectors import frames_of, load
from udpim.errors import DecodeError
from udpim.wire import frames as f


@pytest.mark.parametrize(("data", "entry"), load("short_packets"))
def test_frame_vectors_are_read_and_written(data, entry):
    frames = frames_of(entry["value"])
    payload = data[13:-4]
    assert f.parse_frames(payload) == frames
    assert b"".join(map(encode_frame, frames)).ljust(15, b"\0") == payload


@given(st.lists(FRAMES, max_size=8))
def test_frames_survive_the_round_trip(frames):
    assert f.parse_frames(b"".join(map(encode_frame, frames))) == frames


@given(st.binary(max_size=80))
def test_garbage_is_frames_or_decode_error(data):
    try:
        frames = f.parse_frames(data)
    except DecodeError:
        return
    assert all(isinstance(frame, tuple) for frame in frames)


def test_padding_between_frames_leaves_nothing():
    assert f.parse_frames(b"\x01\0\0\0\x01\0") == [(f.PING,), (f.PING,)]


@pytest.mark.parametrize(
    "payload",
    [
        "04000000000001",
        "040000",
        "0200",
        "0300",
        "4000",
        "0501",
        "07",
        "08",
        "0a",
        "0a0001",
        "0b",
        "0b00000001010203040506070801ff",
        "0b00000001010203040506070810ff",
        "0c000000",
        "0d01020304050607",
        "1001020304050607",
        "10010203040506070802",
        "11",
        "3f",
        "80",
        "ff",
    ],
)
def test_truncated_and_unknown_frames_refuse_the_whole_packet(payload):
    with pytest.raises(DecodeError):
        f.parse_frames(b"\x01" + bytes.fromhex(payload))


def test_a_long_run_of_acks_costs_no_bitmap_bytes():
    """256 packets in a row: eight bytes and four of mask."""
    frame = f.encode_ack(1000, 0, (1 << 256) - 1, 32)
    assert len(frame) == 8 + 4
    assert f.parse_frames(frame) == [(f.ACK, 1000, 0, (1 << 256) - 1, 32)]


def test_the_largest_ack_has_the_stated_size():
    assert len(f.encode_ack(1, 0, 0, 32)) == f.ACK_BYTES_MAX


def test_a_close_reason_is_cut_between_characters():
    frame = f.encode_close(2, "é" * 200)
    assert f.parse_frames(frame) == [(f.CLOSE, 2, "é" * 127)]


def test_only_the_low_half_of_a_number_travels():
    assert f.parse_frames(f.encode_message((5 << 32) + 9, b"x")) == [(f.MESSAGE, 9, b"x")]
    assert f.parse_frames(f.encode_ack((5 << 32) + 9, 0, 0, 0)) == [(f.ACK, 9, 0, 0, 0)]
