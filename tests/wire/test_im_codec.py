"""The struct codec of IM packets against the declarations and against the golden vectors."""

import json
from pathlib import Path

import pytest
from construct import Container
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire import strategies as some
from udpim.errors import DecodeError
from udpim.model import StreamId
from udpim.wire import im_codec, im_rare, im_schema
from udpim.wire import im_packets as p
from udpim.wire.im_packets import Kind

VECTORS = sorted((Path(__file__).parent.parent / "vectors" / "im").glob("*.json"))
HOT = (
    Kind.MSG_R,
    Kind.MSG_A,
    Kind.MSG_N,
    Kind.ACK_R,
    Kind.ACK_A,
    Kind.ACK_N,
    Kind.OFFLINE_A,
    Kind.OFFLINEACK_R,
)
RANGE_FIELDS = ("delivered", "void", "stored", "excused", "ranges", "asked")


def verdict(decoder, body):
    """What a reader says, as text: types, values, or that it refuses."""
    try:
        return repr(decoder(body))
    except DecodeError:
        return "refused"


def agreed(body):
    """The verdict of both readers, which must be one."""
    by_struct = verdict(im_codec.decode, body)
    by_declaration = verdict(im_rare.decode, body)
    assert by_declaration == by_struct
    return by_struct


def declared_fields(packet):
    """A hot packet's fields as the declaration names them, written here a second time."""
    fields = packet._asdict()
    flags = 0
    if fields.setdefault("name", None) is not None:
        fields["name"] = fields["name"]._asdict()
        flags |= im_schema.FLAG_NAMED
    if fields.get("more"):
        flags |= im_schema.FLAG_MORE
    for key in RANGE_FIELDS:
        if key in fields:
            fields[key] = [Container(first=a, last=b) for a, b in fields[key]]
    if "runs" in fields:
        fields["runs"] = [Container(run._asdict()) for run in fields["runs"]]
    if isinstance(packet, p.AckR):
        flags |= im_schema.FLAG_SETTLED if packet.settled else 0
        fields["settled"] = [Container(first=a, last=b) for a, b in packet.settled]
    elif "settled" in fields:
        fields["settled"] = fields["settled"].to_bytes(512, "little").rstrip(b"\0")
    section = fields.get("section")
    fields["has_section"] = int(section is not None)
    if section is not None:
        stamps, payloads = im_codec.section_messages(section)
        fields["section"] = {
            "first": section.first,
            "count": section.count,
            "lengths": [len(payload) for payload in payloads],
            "stamps": stamps,
            "payloads": payloads,
        }
    return {**fields, "flags": flags}


# Both codecs are one format.


@pytest.mark.parametrize("kind", some.KINDS, ids=lambda kind: kind.label)
@settings(max_examples=settings.default.max_examples // 4)
@given(data=st.data())
def test_value_survives_and_both_codecs_agree(kind, data):
    packet = data.draw(some.BY_KIND[kind])
    body = im_codec.encode(packet)
    assert kind == body[0]
    assert repr(packet) == agreed(body)
    if kind in HOT:
        assert im_schema.build(kind, declared_fields(packet)) == body


@pytest.mark.parametrize("kind", some.KINDS, ids=lambda kind: kind.label)
def test_every_truncation_is_refused_by_both(kind):
    body = im_codec.encode(some.EXAMPLES[kind])
    assert repr(some.EXAMPLES[kind]) == agreed(body)
    for size in range(len(body)):
        assert "refused" == agreed(body[:size]), size


@pytest.mark.parametrize("kind", some.KINDS, ids=lambda kind: kind.label)
def test_bytes_left_over_are_refused_by_both(kind):
    body = im_codec.encode(some.EXAMPLES[kind])
    for extra in (b"\0", b"\1", b"\xff", body):
        assert "refused" == agreed(body + extra)


@pytest.mark.parametrize("kind", some.KINDS, ids=lambda kind: kind.label)
def test_every_changed_byte_gets_one_verdict(kind):
    body = im_codec.encode(some.EXAMPLES[kind])
    for at in range(1, len(body)):
        for value in {0, 1, 2, 0x7F, 0x80, 0xFF, body[at] ^ 1}:
            agreed(body[:at] + bytes((value,)) + body[at + 1 :])


@given(body=some.spoilt(some.packets.map(im_codec.encode)))
def test_spoilt_bytes_get_one_verdict(body):
    if body and body[0] < 0x80:
        agreed(body)


@given(body=some.garbage())
def test_garbage_gets_one_verdict(body):
    agreed(body)


@given(body=st.binary(max_size=60))
def test_only_decode_error_leaves_the_decoder(body):
    verdict(im_codec.decode, body)


# What is refused, one reason at a time; NAMELESS heads are kind, flags, handle.

NAMELESS = "00 00000001"
SEQ_1 = "0000000000000001"
SEQ_2 = "0000000000000002"
SEQ_3 = "0000000000000003"
SEQ_MAX = "ffffffffffffffff"
ZERO = "0000000000000000"
RUN = f"01 {SEQ_1} 00000000"
SECTION = f"{SEQ_1} 0001 00000001 {ZERO} 78"
NAME = f"{ZERO} 01 62 01 61 01 64"
ENTRY = f"00 01 {SEQ_1} {SEQ_1} 0000 0001 01"

REFUSED = {
    "seq 0 as floor of msg:R": f"01 {NAMELESS} {ZERO} {RUN} 0000 {SECTION}",
    "no epoch run": f"01 {NAMELESS} {SEQ_1} 00 0000 {SECTION}",
    "4 epoch runs": f"01 {NAMELESS} {SEQ_1} 04 "
    + "".join(f"{i:016x} {i:08x}" for i in range(1, 5))
    + f"0000 {SECTION}",
    "epoch run from seq 0": f"01 {NAMELESS} {SEQ_1} 01 {ZERO} 00000001 0000 {SECTION}",
    "epoch runs from one seq": f"01 {NAMELESS} {SEQ_1} 02 {SEQ_1} 00000001 {SEQ_1} 00000002"
    f" 0000 {SECTION}",
    "epoch that does not rise": f"01 {NAMELESS} {SEQ_1} 02 {SEQ_1} 00000001 {SEQ_2} 00000001"
    f" 0000 {SECTION}",
    "settled bitmap of 513 bytes": f"01 {NAMELESS} {SEQ_1} {RUN} 0201 {'01' * 513} {SECTION}",
    "settled bitmap with a zero at its end": f"01 {NAMELESS} {SEQ_1} {RUN} 0002 0100 {SECTION}",
    "settled bitmap beyond the rest": f"01 {NAMELESS} {SEQ_1} {RUN} 0200 01 {SECTION}",
    "flag of another kind": f"01 02 00000001 {SEQ_1} {RUN} 0000 {SECTION}",
    "name where none may be": f"02 01 00000001 00000000 01 {SEQ_1} {SEQ_1}",
    "name in ack:A": f"05 01 00000001 {NAME} 01 {SEQ_1} {SEQ_1}",
    "empty section": f"03 {NAMELESS} {SEQ_1} {SEQ_1} {SEQ_1} 0000",
    "section from seq 0": f"03 {NAMELESS} {SEQ_1} {SEQ_1} {ZERO} 0001 00000000 {ZERO}",
    "section past the last seq": f"03 {NAMELESS} {SEQ_1} {SEQ_1} {SEQ_MAX} 0002"
    f" 00000000 00000000 {ZERO} {ZERO}",
    "payload beyond the rest": f"03 {NAMELESS} {SEQ_1} {SEQ_1} {SEQ_1} 0001 00000002 {ZERO} 78",
    "count beyond the rest": f"03 {NAMELESS} {SEQ_1} {SEQ_1} {SEQ_1} ffff 00000000 {ZERO}",
    "seq 0 as base": f"03 {NAMELESS} {SEQ_1} {ZERO} {SECTION}",
    "no range": f"02 {NAMELESS} 00000000 00",
    "49 ranges": f"02 {NAMELESS} 00000000 31" + "".join(f"{3 * i + 1:016x}" * 2 for i in range(49)),
    "one range from seq 0": f"02 {NAMELESS} 00000000 01 {ZERO} {SEQ_1}",
    "one range that ends before it starts": f"02 {NAMELESS} 00000000 01 {SEQ_2} {SEQ_1}",
    "first of two ranges from seq 0": f"02 {NAMELESS} 00000000 02 {ZERO} {ZERO} {SEQ_3} {SEQ_3}",
    "adjacent ranges": f"02 {NAMELESS} 00000000 02 {SEQ_1} {SEQ_1} {SEQ_2} {SEQ_2}",
    "falling ranges": f"02 {NAMELESS} 00000000 02 {SEQ_3} {SEQ_3} {SEQ_1} {SEQ_1}",
    "second range reversed": f"02 {NAMELESS} 00000000 02 {SEQ_1} {SEQ_1} {SEQ_MAX} {SEQ_3}",
    "empty conversation": f"04 01 00000001 {ZERO} 00 01 61 01 64 00 00",
    "name of 33 bytes": f"04 01 00000001 {ZERO} 21 {'62' * 33} 01 61 01 64 00 00",
    "name with a zero byte": f"04 01 00000001 {ZERO} 01 00 01 61 01 64 00 00",
    "name that is not UTF-8": f"04 01 00000001 {ZERO} 01 ff 01 61 01 64 00 00",
    "surrogate in a name": f"04 01 00000001 {ZERO} 03 eda080 01 61 01 64 00 00",
    "seq 0 as floor of offline:A": f"11 {NAMELESS} 00000001 0001 {ZERO} {SEQ_1} 00 00",
    "seq 0 as base of offline:A": f"11 {NAMELESS} 00000001 0001 {SEQ_1} {ZERO} 00 00",
    "section mark 2": f"11 {NAMELESS} 00000001 0001 {SEQ_1} {SEQ_1} 00 02 {SECTION}",
    "bytes behind no section": f"11 {NAMELESS} 00000001 0001 {SEQ_1} {SEQ_1} 00 00 {SECTION}",
    "kind 0": f"00 {NAMELESS}",
    "kind 0x7f": f"7f {NAMELESS}",
    "unknown flag of a packet without a stream": "13 01",
    "seq 0 as floor of status:N": f"0c {NAMELESS} {ZERO} {SEQ_1}",
    "no entry of a tally": f"0e {NAMELESS} {ZERO} 00000001 00",
    "65 entries of a tally": f"0e {NAMELESS} {ZERO} 00000001 41 {ENTRY * 65}",
    "verdict 4": f"0e {NAMELESS} {ZERO} 00000001 01 04 {ENTRY[2:]}",
    "entry without a range": f"0e {NAMELESS} {ZERO} 00000001 01 00 00 0000 0001 01",
    "entry without ordinals": f"0e {NAMELESS} {ZERO} 00000001 01 00 01 {SEQ_1} {SEQ_1} 0000 0000",
    "entry with a zero at its end": f"0e {NAMELESS} {ZERO} 00000001 01 00 01 {SEQ_1} {SEQ_1}"
    " 0000 0002 0100",
    "entry with 513 bytes of ordinals": f"0e {NAMELESS} {ZERO} 00000001 01 00 01 {SEQ_1} {SEQ_1}"
    f" 0000 0201 {'01' * 513}",
    "member without a user": f"08 {NAMELESS} {ZERO} 00000001 0001 0000 00 01 64 {ZERO}"
    " 00000001 00000001 00000000",
    "bytes behind gone": f"0f {NAMELESS} 00",
    "seq 0 as read": f"1c {NAMELESS} {ZERO}",
    "seq 0 as read of an endpoint": f"1d {NAMELESS} 0000 {ZERO} {ZERO}",
    "name in read:A": f"1e 01 00000001 {NAME} {SEQ_1}",
    "empty name in group:A": "15 00 00000001 0000 0001 00",
    "name of 33 bytes in group:R": f"14 00 00000001 01 21 {'62' * 33} 00",
    "flag of members in a login": f"20 02 01 61 01 64 0000 {ZERO} {ZERO}",
    "login without a user": f"20 00 00 01 64 0000 {ZERO} {ZERO}",
    "reason that is not UTF-8": "22 00 0001 01 ff",
}


@pytest.mark.parametrize("reason", REFUSED)
def test_is_refused_by_both(reason):
    assert "refused" == agreed(bytes.fromhex(REFUSED[reason]))


@pytest.mark.parametrize(
    "text",
    [
        f"01 {NAMELESS} {SEQ_1} {RUN} 0000 {SECTION}",
        f"02 {NAMELESS} 00000000 01 {SEQ_1} {SEQ_1}",
        f"03 {NAMELESS} {SEQ_1} {SEQ_1} {SECTION}",
        f"04 01 00000001 {NAME} 00 00",
        f"05 {NAMELESS} 01 {SEQ_1} {SEQ_1}",
        f"11 {NAMELESS} 00000001 0001 {SEQ_1} {SEQ_1} 00 01 {SECTION}",
        f"01 {NAMELESS} {SEQ_1} {RUN} 0200 {'01' * 512} {SECTION}",
        f"0e {NAMELESS} {ZERO} 00000001 40 {ENTRY * 64}",
        f"0e {NAMELESS} {ZERO} 00000001 01 {ENTRY[:-7]} 0200 {'01' * 512}",
        f"08 {NAMELESS} {ZERO} 00000001 0001 0000 01 61 01 64 {ZERO} 00000001 00000001 00000000",
        f"1c {NAMELESS} {SEQ_1}",
        f"1d {NAMELESS} 0000 {ZERO} {SEQ_1}",
        f"1e {NAMELESS} {SEQ_1}",
        "14 00 00000001 01 00 00",
        "15 00 00000001 0000 0001 01 61",
        f"20 60 01 61 01 64 0000 {ZERO} {ZERO}",
    ],
)
def test_what_the_refused_were_made_of_is_accepted(text):
    assert "refused" != agreed(bytes.fromhex(text))


def test_nothing_is_refused():
    assert "refused" == verdict(im_codec.decode, b"")


@pytest.mark.parametrize("kind", [0x80, 0xC3, 0xFF])
def test_unknown_kind_from_0x80_on_is_skipped(kind):
    assert im_codec.decode(bytes((kind,)) + b"anything") is None


# Sections.


@pytest.mark.parametrize("count", [1, 127, 128, 1000])
def test_section_gives_back_what_went_in(count):
    stamps = tuple(range(count))
    payloads = [bytes((i % 251,)) * (i % 5) for i in range(count)]
    section = im_codec.encode_section(7, stamps, payloads)
    assert (7, count) == (section.first, section.count)
    assert (stamps, payloads) == im_codec.section_messages(section)
    assert len(section.raw) == (
        im_codec.SECTION_HEAD_BYTES + im_codec.SECTION_ENTRY_BYTES * count + sum(map(len, payloads))
    )


@pytest.mark.parametrize(
    ("first", "last", "kept"),
    [(5, 8, "abcd"), (1, 9, "abcd"), (5, 7, "abc"), (6, 8, "bcd"), (6, 7, "bc"), (8, 8, "d")],
)
def test_cut_section_keeps_seqs_stamps_and_payloads_together(first, last, kept):
    section = im_codec.encode_section(5, [10, 11, 12, 13], [b"a", b"b", b"c", b"d"])
    cut = im_codec.cut_section(section, first, last)
    assert max(first, 5) == cut.first
    stamps = tuple("abcd".index(letter) + 10 for letter in kept)
    assert (stamps, [letter.encode() for letter in kept]) == im_codec.section_messages(cut)
    assert ("abcd" == kept) == (cut is section)


@pytest.mark.parametrize(("count", "at"), [(1, 0), (2, 0), (2, 1), (130, 64), (130, 129)])
def test_top_stamp_is_the_highest_wherever_it_stands(count, at):
    stamps = list(range(1, count))
    stamps.insert(at, 2**64 - 1)
    section = im_codec.encode_section(9, stamps, [b"payload"] * count)
    assert 2**64 - 1 == im_codec.top_stamp(section)


def test_section_travels_untouched_under_another_head():
    section = im_codec.encode_section(3, [4, 5], [b"one", b""])
    name = StreamId("a", "phone", 9, "b")
    request = im_codec.encode(p.MsgR(1, name, 1, (p.EpochRun(1, 1),), 0, section))
    forwarded = im_codec.decode(request).section
    note = im_codec.encode(p.MsgN(8, None, 1, 1, forwarded))
    assert section == im_codec.decode(note).section
    assert note.endswith(section.raw)


FRAME_BODY_BYTES_MAX = 1164
"""PROTOCOL §3.4."""


def test_full_section_fits_with_the_longest_names():
    payload = bytes(im_schema.SECTION_BYTES_MAX - 22)
    section = im_codec.encode_section(1, [0], [payload])
    assert im_schema.SECTION_BYTES_MAX == len(section.raw)
    full = StreamId("u" * 32, "d" * 32, 0, "c" * 32)
    unsigned = full._replace(user="", device="")
    for packet in (
        p.MsgR(1, unsigned, 1, some.FULL_RUNS, 2**256 - 1, section),
        p.MsgN(1, full, 1, 1, section),
        p.OfflineA(1, full, 1, 1, True, 1, 1, (), section),
        p.AckN(1, full, 0, 0, 0, some.FULL_RANGES, (), (), ()),
        p.SignalN("u" * 32, "d" * 32, "c" * 32, bytes(im_schema.SIGNAL_BYTES_MAX)),
        p.PresenceA(1, 0, (p.DeviceSeen("d" * 32, True, 0),) * im_schema.PRESENCE_DEVICES_MAX),
    ):
        assert len(im_codec.encode(packet)) <= FRAME_BODY_BYTES_MAX


# Golden vectors: computed by hand from PROTOCOL.md, so that writer and reader cannot err alike.


def value_from(kind, fields):
    """The packet that a vector describes in JSON."""
    fields = dict(fields)
    if fields.get("name") is not None:
        fields["name"] = StreamId(**fields["name"])
    for key in RANGE_FIELDS:
        if key in fields:
            fields[key] = tuple(map(tuple, fields[key]))
    if isinstance(fields.get("settled"), list):
        fields["settled"] = tuple(map(tuple, fields["settled"]))
    if "runs" in fields:
        fields["runs"] = tuple(p.EpochRun(*run) for run in fields["runs"])
    if "members" in fields:
        fields["members"] = tuple(p.Member(**member) for member in fields["members"])
    if "devices" in fields:
        fields["devices"] = tuple(p.DeviceSeen(**seen) for seen in fields["devices"])
    if fields.get("section") is not None:
        section = fields["section"]
        payloads = [bytes.fromhex(text) for text in section["payloads"]]
        fields["section"] = im_codec.encode_section(section["first"], section["stamps"], payloads)
    if "entries" in fields:
        fields["entries"] = tuple(
            p.TallyEntry(verdict, tuple(map(tuple, ranges)), first, sum(1 << n for n in bits))
            for verdict, ranges, first, bits in fields["entries"]
        )
    if "names" in fields:
        fields["names"] = tuple(fields["names"])
    for key in ("token", "payload"):
        if key in fields:
            fields[key] = bytes.fromhex(fields[key])
    return type(some.EXAMPLES[kind])(**fields)


def vectors():
    for path in VECTORS:
        for vector in json.loads(path.read_text("utf-8")):
            yield pytest.param(vector, id=f"{path.stem}: {vector['title']}")


@pytest.mark.parametrize("vector", list(vectors()))
def test_golden_vector_is_read_and_written(vector):
    body = bytes.fromhex("".join(part for part, _ in vector["bytes"]))
    kind = next(kind for kind in Kind if kind.label == vector["kind"])
    packet = value_from(kind, vector["value"])
    assert repr(packet) == agreed(body)
    assert body == im_codec.encode(packet)


def test_every_kind_has_a_golden_vector():
    told = {v["kind"] for path in VECTORS for v in json.loads(path.read_text("utf-8"))}
    assert {kind.label for kind in Kind} == told
