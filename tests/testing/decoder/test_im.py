"""IM packets, against the golden vectors and against the product's codec."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.testing.decoder.verdicts import REFUSED, im_vectors, verdict
from tests.wire import strategies as some
from tests.wire.test_im_codec import value_from
from udpim.testing.decoder.im import EXTENSION, LAYOUTS, parse_im
from udpim.wire import im_codec
from udpim.wire.im_packets import Kind, OfflineA


def own(body):
    return parse_im(body)[1]


def differs_for_a_reason(body):
    """Whether only the decoder refuses these bytes.

    §4.5.14-1: an offline:A of an empty queue speaks of no stream. The product's client ignores what
    else such a packet says; an oracle wants to know of a server that sends it.
    """
    packet = im_codec.decode(body)
    return (
        isinstance(packet, OfflineA)
        and packet.total == 0
        and (packet.handle, packet.name, packet.floor, packet.base) != (0, None, 1, 1)
    )


def agreed(body):
    mine, theirs = verdict(own, body), verdict(im_codec.decode, body)
    if mine != theirs:
        assert REFUSED == mine
        assert differs_for_a_reason(body)


@pytest.mark.parametrize(
    ("label", "body", "entry"), [pytest.param(*v, id=v[2]["title"]) for v in im_vectors()]
)
def test_golden_vectors_are_read(label, body, entry):
    value = value_from(Kind(body[0]), entry["value"])
    assert repr((label, value)) == repr(parse_im(body))


def test_kinds_and_their_names_are_those_of_the_product():
    assert {kind: kind.label for kind in Kind} == {k: v.label for k, v in LAYOUTS.items()}


@pytest.mark.parametrize("kind", some.KINDS, ids=lambda kind: kind.label)
@settings(max_examples=settings.default.max_examples // 2)
@given(data=st.data())
def test_what_the_product_writes_is_read_as_it_was_meant(kind, data):
    packet = data.draw(some.BY_KIND[kind])
    body = im_codec.encode(packet)
    if differs_for_a_reason(body):
        assert REFUSED == verdict(own, body)
    else:
        assert repr((kind.label, packet)) == repr(parse_im(body))


@pytest.mark.parametrize("kind", some.KINDS, ids=lambda kind: kind.label)
def test_cut_and_changed_bytes_get_one_verdict(kind):
    body = im_codec.encode(some.EXAMPLES[kind])
    for size in range(len(body)):
        assert REFUSED == verdict(own, body[:size])
    for at in range(1, len(body)):
        for value in (0, 1, 2, 0x7F, 0x80, 0xFF, body[at] ^ 1):
            agreed(body[:at] + bytes((value,)) + body[at + 1 :])
    for extra in (b"\0", b"\1", b"\xff", body):
        assert REFUSED == verdict(own, body + extra)


@given(body=some.spoilt(some.packets.map(im_codec.encode)) | some.garbage() | st.binary())
@settings(max_examples=300)
def test_spoilt_bytes_and_garbage_get_one_verdict(body):
    agreed(body)


@pytest.mark.parametrize("kind", [0x80, 0x90, 0xFF])
def test_kinds_from_0x80_on_are_skipped_whatever_follows(kind):
    for rest in (b"", b"\xff", b"anything"):
        assert (EXTENSION, None) == parse_im(bytes((kind,)) + rest)


@pytest.mark.parametrize("body", [b"", b"\0\0", b"\x16\0", b"\x1f\0", b"\x7f\0\0\0"])
def test_unknown_kinds_below_are_refused(body):
    assert REFUSED == verdict(parse_im, body)
