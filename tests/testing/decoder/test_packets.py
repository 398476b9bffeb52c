"""IM packets travel in the frames that may carry them, whole or in pieces that fit together."""

import pytest

from tests.wire.strategies import EXAMPLES
from udpim.errors import DecodeError
from udpim.testing.decoder.frames import BULK, DATAGRAM, FRAGMENT, MESSAGE, PING
from udpim.testing.decoder.packets import Pieces, read_frames
from udpim.wire import im_codec
from udpim.wire.im_packets import Kind, MsgN

CID = b"an end.."
BULKY = [Kind.MSG_R, Kind.MSG_N, Kind.OFFLINE_A]
SIGNALS = [Kind.SIGNAL_R, Kind.SIGNAL_N]
PLAIN = sorted(set(Kind) - {*BULKY, *SIGNALS})
SKIPPED = b"\x90skipped"


def read(*frames, pieces=None):
    return read_frames(CID, list(frames), pieces or Pieces())


def carried(frame, body):
    """What a frame of this type says with a body in it."""
    return read((DATAGRAM, body) if frame == DATAGRAM else (frame, 7, body))


@pytest.mark.parametrize("frame", [MESSAGE, BULK, DATAGRAM])
@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.label)
def test_each_kind_has_the_frame_that_may_carry_it(kind, frame):
    body = im_codec.encode(EXAMPLES[kind])
    right = BULK if kind in BULKY else DATAGRAM if kind in SIGNALS else MESSAGE
    if frame != right:
        with pytest.raises(DecodeError):
            carried(frame, body)
    else:
        packets = () if frame == DATAGRAM else ((7, EXAMPLES[kind]),)
        assert ((kind.label,), packets) == carried(frame, body)


@pytest.mark.parametrize("frame", [MESSAGE, BULK, DATAGRAM])
def test_what_is_skipped_may_travel_in_all_of_them(frame):
    assert (("extension",), ()) == carried(frame, SKIPPED)


def test_labels_are_in_the_order_of_frames():
    signal = im_codec.encode(EXAMPLES[Kind.SIGNAL_R])
    nudge = im_codec.encode(EXAMPLES[Kind.NUDGE])
    labels, packets = read((PING,), (MESSAGE, 1, nudge), (0x40, b""), (DATAGRAM, signal))
    assert ("PING", "nudge", "extension", "signal:R") == labels
    assert ((1, EXAMPLES[Kind.NUDGE]),) == packets


PAYLOAD = bytes(1500)
LARGE = MsgN(1, None, 1, 1, im_codec.encode_section(1, [0], [PAYLOAD]))


def fragments(body, size, group=5, first_seq=0):
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return [
        (FRAGMENT, first_seq + index, group, index, len(parts), part)
        for index, part in enumerate(parts)
    ]


def test_body_goes_with_the_piece_that_left_last_whenever_it_is_seen():
    pieces = Pieces()
    one, two, three = fragments(im_codec.encode(LARGE), 600)
    nothing = (("FRAGMENT",), ())
    whole = (("FRAGMENT", "msg:N"), ((0, LARGE),))
    assert nothing == read(three, pieces=pieces)
    assert nothing == read(two, pieces=pieces)
    assert whole == read(one, pieces=pieces)
    assert [nothing, nothing, whole] == [read(f, pieces=pieces) for f in (three, two, one)]


def test_number_of_a_group_may_come_again_when_its_body_is_whole():
    pieces = Pieces()
    body = im_codec.encode(LARGE)
    for start in (0, 3):
        *_, last = (read(f, pieces=pieces) for f in fragments(body, 600, first_seq=start))
        assert ((start + 2, LARGE),) == last[1]


def test_pieces_of_two_ends_do_not_meet():
    pieces = Pieces()
    one, two, three = fragments(im_codec.encode(LARGE), 600)
    read(one, two, pieces=pieces)
    assert (("FRAGMENT",), ()) == read_frames(b"another.", [three], pieces)


@pytest.mark.parametrize(
    "liar",
    [
        (FRAGMENT, 9, 5, 1, 4, bytes(600)),
        (FRAGMENT, 9, 5, 0, 3, bytes(600)),
        (FRAGMENT, 9, 5, 1, 3, bytes(601)),
        (FRAGMENT, 9, 5, 2, 3, bytes(601)),
        (FRAGMENT, 9, 6, 0, 2057, bytes(512)),
    ],
    ids=["count", "index again", "length", "last one longer", "beyond the limit"],
)
def test_piece_that_contradicts_makes_its_packet_unreadable(liar):
    pieces = Pieces()
    one, two, three = fragments(im_codec.encode(LARGE), 600)
    read(one, pieces=pieces)
    with pytest.raises(DecodeError):
        read(liar, pieces=pieces)
    assert ((2, LARGE),) == read(two, three, pieces=pieces)[1]


def test_last_piece_that_is_longer_than_a_later_one_contradicts_it():
    pieces = Pieces()
    read((FRAGMENT, 1, 5, 2, 3, bytes(600)), pieces=pieces)
    with pytest.raises(DecodeError):
        read((FRAGMENT, 2, 5, 0, 3, bytes(599)), pieces=pieces)


def test_another_last_piece_contradicts_the_first():
    pieces = Pieces()
    read((FRAGMENT, 1, 5, 2, 3, bytes(600)), pieces=pieces)
    with pytest.raises(DecodeError):
        read((FRAGMENT, 2, 5, 2, 3, bytes(600)), pieces=pieces)


def test_small_packet_without_payload_does_not_travel_in_pieces():
    body = im_codec.encode(EXAMPLES[Kind.LOGIN]._replace(token=bytes(700)))
    with pytest.raises(DecodeError):
        read(*fragments(body, 512))
    login = EXAMPLES[Kind.LOGIN]._replace(token=bytes(1200))
    labels, _ = read(*fragments(im_codec.encode(login), 600))
    assert ("FRAGMENT", "FRAGMENT", "FRAGMENT", "login") == labels


def test_malformed_body_in_pieces_is_refused():
    with pytest.raises(DecodeError):
        read(*fragments(im_codec.encode(LARGE) + b"x", 600))
