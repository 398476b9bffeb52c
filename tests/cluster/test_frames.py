"""What is put on the bus comes off it, and anything else is refused without an accident."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udpim.cluster.frames import FRAME_BYTES_MAX, BusFrame, Kind, decode, encode, in_frames
from udpim.errors import DecodeError

datagrams = st.lists(
    st.tuples(st.binary(max_size=40), st.tuples(st.text(max_size=30), st.integers(0, 2**16 - 1))),
    max_size=5,
)
frames = st.builds(
    BusFrame,
    st.sampled_from(Kind),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.text(max_size=20),
    datagrams,
)


@given(frames)
def test_a_frame_comes_back(frame):
    assert frame == decode(encode(frame))


@given(frames, st.data())
def test_a_mutilated_frame_is_a_frame_or_refused(frame, data):
    raw = bytearray(encode(frame))
    del raw[data.draw(st.integers(0, len(raw))) :]
    if raw and data.draw(st.booleans()):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(DecodeError):
        assert isinstance(decode(bytes(raw)), BusFrame)


def test_a_frame_of_another_version_is_refused():
    raw = encode(BusFrame(Kind.INWARD, 1, 1, "gate", []))
    with pytest.raises(DecodeError, match="another version"):
        decode(b"\x02" + raw[1:])


def test_a_frame_that_ends_within_a_datagram_is_refused():
    raw = encode(BusFrame(Kind.INWARD, 1, 1, "gate", [(b"data", ("host", 1))]))
    with pytest.raises(DecodeError, match="cut short"):
        decode(raw[:-1])


def test_a_large_burst_takes_several_frames_and_keeps_its_order():
    burst = [(bytes((i,)) * 1200, ("198.51.100.7", i)) for i in range(200)]
    frames = in_frames(Kind.OUTWARD, 5, 7, "gate", burst)
    assert 1 < len(frames)
    assert max(map(len, frames)) < FRAME_BYTES_MAX + 1300
    assert list(range(7, 7 + len(frames))) == [decode(raw).number for raw in frames]
    assert burst == [item for raw in frames for item in decode(raw).datagrams]


def test_nothing_takes_no_frame():
    assert [] == in_frames(Kind.OUTWARD, 5, 7, "gate", [])
