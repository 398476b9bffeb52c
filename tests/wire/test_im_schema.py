"""The normative declarations of IM packets: complete, canonical, and told in PROTOCOL.md."""

import re
from pathlib import Path

import pytest

from tests.wire.strategies import EXAMPLES, KINDS
from udpim.errors import DecodeError
from udpim.wire import im_codec, im_schema
from udpim.wire.im_packets import Kind

PROTOCOL = Path(__file__).parent.parent.parent / "PROTOCOL.md"


def test_every_kind_is_declared():
    assert set(Kind) == set(im_schema.SCHEMAS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.label)
def test_declaration_builds_again_what_it_parsed(kind):
    body = im_codec.encode(EXAMPLES[kind])
    parsed = im_schema.parse(body)
    assert body == im_schema.build(kind, parsed)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "unknown IM packet kind"),
        (b"\x7f", "unknown IM packet kind"),
        (b"\x80", "unknown IM packet kind"),
        (b"\x13", "malformed nudge"),
        (b"\x13\x00\x00", "malformed nudge"),
        (b"\x22\x00\x00\x01\x01\xff", "malformed login-refused"),
        (b"\x1a\x00\x00\x00\x00\x01\x00", "malformed presence:R"),
        (b"\x1b\x00" + bytes(6) + b"\x01\x01d\x02" + bytes(4), "malformed presence:A"),
        (b"\x1b\x00" + bytes(6) + b"\x11" + b"\x01d\x01\0\0\0\0" * 17, "malformed presence:A"),
        (b"\x18\x00\x01a\x04\x01" + bytes(1025), "malformed signal:R"),
        (b"\x18\x00\x00\x00\x00", "malformed signal:R"),
        (b"\x19\x00\x01u\x00\x01c\x00\x00", "malformed signal:N"),
    ],
)
def test_refusal_names_what_was_refused(body, words):
    with pytest.raises(DecodeError, match=words):
        im_schema.parse(body)


# PROTOCOL.md tells the same layout: kinds, and the fields in their order.


def first_column(text, heading):
    """The names in backquotes that open the rows of the first table below a heading."""
    section = re.search(rf"^#+ [\d.]+ {heading}\n(.*?)^#", text, re.MULTILINE | re.DOTALL)
    assert section, f"no section {heading}"
    table = re.search(r"(^\|.*\n)+", section[1], re.MULTILINE)
    cells = [row.split("|")[1].strip() for row in table[0].splitlines()[2:]] if table else []
    names = [re.match(r"`(\w+)`", cell) for cell in cells]
    assert all(names), cells
    return [name[1] for name in names]


def declared_names(declaration):
    return [sub.name for sub in declaration.subcons if sub.name is not None]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.label)
def test_protocol_has_the_kind_in_its_table(kind):
    row = rf"^\| {re.escape(kind.label)} \| 0x{kind:02x} \| .+ \|$"
    assert re.search(row, PROTOCOL.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.label)
def test_protocol_has_the_fields_of_a_packet_in_their_order(kind):
    told = first_column(
        PROTOCOL.read_text("utf-8"), rf"(?:[\w:-]+ and )?{kind.label}(?: and [\w:-]+)?"
    )
    declared = declared_names(im_schema.SCHEMAS[kind])
    if kind in (Kind.MSG_A, Kind.ACK_A, Kind.READ_A, Kind.REFUSE):
        declared.remove("name")  # they answer a packet, with the number that it had
    assert declared == told


def test_protocol_has_the_fields_of_a_section_in_their_order():
    told = first_column(PROTOCOL.read_text("utf-8"), "Sections")
    assert declared_names(im_schema.SECTION) == told


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (im_schema.RANGES_MAX, "at most {}; `first` ≥ 1"),
        (im_schema.RUNS_MAX, "1 to {}; `first` ≥ 1; both rise"),
        (im_schema.NAME_BYTES_MAX, "1 to {} bytes, no zero byte"),
        (im_schema.ORDINAL_BYTES_MAX, "*2, at most {} bytes"),
        (im_schema.SECTION_BYTES_MAX, "It has at most {} bytes"),
        (im_schema.SIGNAL_BYTES_MAX, "*2, at most {} bytes"),
        (im_schema.PRESENCE_DEVICES_MAX, "at most {} devices"),
        (im_schema.PAYLOAD_BYTES_MAX, "A payload has at most {} bytes"),
    ],
)
def test_protocol_has_the_limit(limit, words):
    assert words.format(limit) in PROTOCOL.read_text("utf-8")
