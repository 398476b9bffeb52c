"""Declarations as rows: offsets, widths and rules are those that the bytes follow."""

import construct as c
import pytest

from tests.wire.strategies import EXAMPLES, KINDS
from udpim.wire import hop_schema, im_codec, im_schema
from udpim.wire.im_packets import Kind
from udpim.wire.layout import UNTOLD, Row, flags_allowed, rows, rules, typed
from udpim.wire.told import told


def small(declaration):
    return c.ExprValidator(declaration, lambda value, _: value < 4)


def only_row(declaration):
    (row,) = rows(c.Struct("field" / declaration))
    return row


@pytest.mark.parametrize(
    ("declaration", "width", "rule"),
    [
        (c.Int64ub, "8", ""),
        (c.Bytes(16), "16", ""),
        (c.Const(0x21, c.Int8ub), "1", "0x21"),
        (c.Prefixed(c.Int16ub, c.GreedyBytes), "2 + n", ""),
        (c.PascalString(c.Int8ub, "utf8"), "1 + n", "UTF-8"),
        (c.PrefixedArray(c.Int8ub, c.Struct("a" / c.Int8ub, "b" / c.Int32ub)), "1 + 5 n", ""),
        (c.PrefixedArray(c.Int16ub, c.PascalString(c.Int8ub, "utf8")), "2 + …", ""),
        (c.Array(c.this.count, c.Int32ub), "4 × count", ""),
        (c.Array(c.this.count, c.Bytes(c.this.size)), "…", ""),
        (c.Bytes(lambda this: this.size), "…", ""),
        (c.GreedyBytes, "rest", ""),
        (c.GreedyRange(c.Int8ub), "rest", ""),
        (c.Struct("a" / c.Int8ub, "b" / c.GreedyBytes), "…", ""),
        (small(c.Int8ub), "1", "0 to 3"),
        (c.ExprValidator(c.Int8ub, lambda value, _: value < 2), "1", "0 or 1"),
        (told(small(c.Int16ub), "below 4"), "2", "below 4"),
        (small(c.Int16ub), "2", UNTOLD),
    ],
)
def test_a_field_has_its_width_and_its_rule(declaration, width, rule):
    assert Row("field", 0, width, rule) == only_row(declaration)


def test_an_offset_is_told_while_it_is_fixed():
    declaration = c.Struct(
        "a" / c.Int8ub, "b" / c.Prefixed(c.Int8ub, c.GreedyBytes), "c" / c.Int8ub
    )
    assert [0, 1, None] == [row.at for row in rows(declaration)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.label)
def test_fixed_offsets_are_where_the_codec_writes(kind):
    parsed = im_schema.parse(im_codec.encode(EXAMPLES[kind]))
    body = im_codec.encode(EXAMPLES[kind])
    for row in rows(im_schema.SCHEMAS[kind]):
        if row.at is not None and row.width.isdecimal():
            raw = body[row.at : row.at + int(row.width)]
            assert parsed[row.field] == int.from_bytes(raw, "big"), row


def test_fields_that_take_no_bytes_have_no_row():
    declaration = c.Struct(
        "form" / c.Computed("x"), "a" / c.Int8ub, "_end" / c.Tell, c.Check(c.this.a), c.Terminated
    )
    assert [Row("a", 0, "1", "")] == rows(declaration)


def test_a_check_of_several_fields_is_a_rule_of_the_whole():
    told_one = told(c.Check(c.this.a < c.this.b), "a < b")
    declaration = c.Struct("a" / c.Int8ub, "b" / c.Int8ub, told_one, c.Check(c.this.a))
    assert ["a < b", UNTOLD] == rules(declaration)


def test_a_checksum_is_the_last_field_of_what_it_covers():
    hello = hop_schema.DATAGRAMS[0x81]
    assert Row("checksum", None, "4", hello.docs) == rows(hello)[-1]
    assert "CRC-32" in hello.docs
    assert ["300 bytes at least with the checksum"] == rules(hello)


def test_a_frame_begins_with_its_type():
    assert [Row("type", 0, "1", "0x08"), Row("bulk_bytes_max", 1, "8", "")] == rows(
        typed(0x08, hop_schema.CREDIT)
    )


def test_a_width_that_depends_on_the_value_is_left_to_the_rule():
    bitmap = rows(hop_schema.ACK)[-1]
    assert ("bitmap", 7, "…") == bitmap[:3]
    assert "mask" in bitmap.rule


# Optional fields.


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.label)
def test_flags_are_named_and_nothing_else_is_taken(kind):
    declaration = im_schema.SCHEMAS[kind]
    (flags,) = [item for item in declaration.subcons if item.name == "flags"]
    allowed = flags_allowed(declaration)
    for value in range(256):
        if value & ~allowed:
            with pytest.raises(c.ValidationError):
                flags.parse(bytes((value,)))
        else:
            assert value == flags.parse(bytes((value,)))


def test_flags_without_a_bit_are_zero_and_what_they_would_bring_never_comes():
    found = rows(im_schema.SCHEMAS[Kind.ACK_A])
    assert Row("flags", 1, "1", "0") in found
    assert "name" not in [row.field for row in found]


def test_what_a_flag_or_a_field_brings_says_so():
    found = {row.field: row for row in rows(im_schema.SCHEMAS[Kind.OFFLINE_A])}
    assert Row("flags", 1, "1", "named, more") == found["flags"]
    assert Row("name", 6, "0 or …", "only if named; §4.3") == found["name"]
    assert Row("section", None, "0 or …", "only if `has_section`; §4.4") == found["section"]


def test_a_condition_that_cannot_be_read_off_is_not_told():
    declaration = c.Struct("a" / c.Int8ub, "b" / c.If(c.this.x == c.this.y, c.Int8ub))
    assert Row("b", 1, "0 or 1", f"only if {UNTOLD}") == rows(declaration)[1]
