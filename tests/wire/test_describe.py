"""Datagrams shown field by field."""

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire import strategies as some
from udpim.errors import DecodeError
from udpim.wire import frames as f
from udpim.wire import im_codec
from udpim.wire.describe import InTheClear, datagram_to_dict, describe_datagram
from udpim.wire.im_packets import FRAME_BODY_BYTES_MAX, Kind
from udpim.wire.packet import SEALED_SHORT_FLAGS

HEADER = "01 0102030405060708 00000005"
NAME = "0123456789abcdef 03 626f62 05 616c696365 05 70686f6e65"
SECTION = "000000000000000a 0002 00000002 00000003 0000000000000001 0000000000000002 6869 00ff80"
MSG_N = f"03 01 00000007 {NAME} 0000000000000001 0000000000000002 {SECTION}"


def sealed(text):
    """The datagram of these hex bytes, with its checksum; short ones padded."""
    body = bytes.fromhex(text)
    if body[0] < 0x80:
        body = body.ljust(28, b"\0")
    return body + zlib.crc32(body).to_bytes(4, "big")


def message(hop_seq, body):
    return f"04 {hop_seq:08x} {len(body):04x} {body.hex()} "


def only_frame(text):
    return datagram_to_dict(sealed(f"{HEADER} {text}"))["frames"][0]


def refusal(data):
    with pytest.raises(DecodeError) as shown:
        describe_datagram(data)
    with pytest.raises(DecodeError) as read:
        datagram_to_dict(data)
    assert str(read.value) == str(shown.value)
    return str(read.value)


def test_message_is_shown_down_to_its_payloads():
    lines = describe_datagram(sealed(f"{HEADER} {message(9, bytes.fromhex(MSG_N))}"))
    assert [
        "datagram of 109 bytes",
        "  flags: 0x01",
        "  form: short",
        "  version: 1",
        "  destination_cid: 0102030405060708",
        "  packet_number: 5 (low 32 bits)",
        "  frames:",
        "    - type: MESSAGE",
        "      hop_seq: 9 (low 32 bits)",
        "      im_packet:",
        "        kind: msg:N",
        "        flags: named",
        "        handle: 7",
        "        name:",
        "          incarnation: 0123456789abcdef",
        "          conversation: 'bob'",
        "          user: 'alice'",
        "          device: 'phone'",
        "        floor: 1",
        "        base: 2",
        "        section:",
        "          first: 10",
        "          count: 2",
        "          lengths: 2, 3",
        "          stamps: 1, 2",
        "          payloads:",
        "            - bytes: 2",
        "              text: 'hi'",
        "            - bytes: 3",
        "              hex: 00ff80",
    ] == lines


@pytest.mark.parametrize("kind", some.KINDS, ids=lambda kind: kind.label)
def test_every_kind_is_shown_and_goes_through_json(kind):
    body = im_codec.encode(some.EXAMPLES[kind])
    data = sealed(f"{HEADER} {message(1, body)}")
    tree = datagram_to_dict(data)
    assert kind.label == tree["frames"][0]["im_packet"]["kind"]
    assert tree == json.loads(json.dumps(tree))
    assert f"        kind: {kind.label}" in describe_datagram(data)


def test_signal_is_shown_with_its_payload_where_it_travels():
    body = im_codec.encode(some.EXAMPLES[Kind.SIGNAL_R])
    frame = only_frame(f"0a {len(body):04x} {body.hex()}")
    assert "DATAGRAM" == frame["type"]
    assert {"bytes": 6, "text": "typing"} == frame["im_packet"]["payload"]
    assert list(frame["im_packet"]) == ["kind", "flags", "conversation", "payload"]


def test_bad_signal_is_named_by_its_frame():
    words = refusal(sealed(f"{HEADER} 0a 0003 180001"))
    assert (
        "the IM packet of DATAGRAM: malformed signal:R: field conversation ends too early" == words
    )


def test_lists_read_as_people_write_them():
    frames = message(1, im_codec.encode(some.EXAMPLES[Kind.MSG_R]))
    frames += message(2, im_codec.encode(some.EXAMPLES[Kind.ACK_A]))
    frames += message(3, im_codec.encode(some.EXAMPLES[Kind.MEMBERS]))
    lines = [line.strip() for line in describe_datagram(sealed(f"{HEADER} {frames}"))]
    assert f"runs: from 1 epoch 0, from 2 epoch 9, from {2**64 - 1} epoch {2**32 - 1}" in lines
    assert "settled: 0, 2050" in lines
    assert f"ranges: 1, 3-{2**64 - 1}" in lines
    assert "name: none" in lines
    assert "flags: none" in lines
    assert "flags: named, whole" in lines
    assert "- ordinal: 1" in lines
    assert "user: 'ü'" in lines
    assert "device: '名'" in lines


def test_tally_tells_who_says_what_of_which_messages():
    body = im_codec.encode(some.EXAMPLES[Kind.TALLY]._replace(name=None))
    lines = describe_datagram(sealed(f"{HEADER} {message(1, body)}"))
    assert [
        "        as_of: 10",
        "        entries:",
        "          - verdict: delivered",
        f"            ranges: 1-2, 4-{2**64 - 1}",
        "            first: 7",
        "            bitmap: 7, 9, 10",
        "          - verdict: excused",
        "            ranges: 3",
        "            first: 65535",
        "            bitmap: 65535, 65551",
    ] == lines[-10:]


def test_names_of_groups_and_of_who_belongs_to_them_are_quoted():
    frames = message(1, im_codec.encode(some.EXAMPLES[Kind.GROUP_R]))
    frames += message(2, im_codec.encode(some.EXAMPLES[Kind.GROUP_A]))
    lines = [line.strip() for line in describe_datagram(sealed(f"{HEADER} {frames}"))]
    assert "group: '#café'" in lines
    assert f"names: '{'ü' * 16}', 'bob'" in lines


def test_flags_of_a_login_are_named():
    body = im_codec.encode(some.EXAMPLES[Kind.LOGIN])
    assert ["continues", "four"] == only_frame(message(1, body))["im_packet"]["flags"]


def test_ack_tells_which_numbers_it_acks():
    # Largest 20, 100 · 8 µs, two bytes of bitmap: 0x05 present (19 and 17), the other elided.
    frame = only_frame("02 00000014 0064 02 01 05")
    assert {
        "type": "ACK",
        "largest": 20,
        "delay": 100,
        "bitmap_bytes": 2,
        "bitmap": "0xff05",
        "acked": [
            {"first": 4, "last": 11},
            {"first": 17, "last": 17},
            {"first": 19, "last": 20},
        ],
    } == frame
    lines = describe_datagram(sealed(f"{HEADER} 02 00000014 0064 02 01 05"))
    assert "      delay: 100 (800 µs)" in lines
    assert "      acked: 4-11, 17, 19-20" in lines


def test_ack_wraps_with_the_truncated_numbers():
    frame = only_frame("02 00000000 0000 01 01 01")
    assert [{"first": 0, "last": 0}, {"first": 2**32 - 1, "last": 2**32 - 1}] == frame["acked"]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("01", {"type": "PING"}),
        ("03 0003 02 c3a9", {"type": "CLOSE", "code": 3, "reason": "é"}),
        ("05 0102030405060708", {"type": "PATH_CHALLENGE", "data": "0102030405060708"}),
        ("06 0102030405060708", {"type": "PATH_RESPONSE", "data": "0102030405060708"}),
        (
            "0b 00000003 0102030405060708 00",
            {"type": "NEW_CID", "sequence": 3, "cid": "0102030405060708", "reset_token": ""},
        ),
        ("0c 00000003", {"type": "RETIRE_CID", "sequence": 3}),
        ("0d 0102030405060708", {"type": "BINDING_PROBE", "data": "0102030405060708"}),
        ("0e 0102030405060708", {"type": "BINDING_ASK", "data": "0102030405060708"}),
        ("0f 0102030405060708", {"type": "BINDING_ANSWER", "data": "0102030405060708"}),
        (
            "10 0102030405060708 01",
            {"type": "BINDING_REPORT", "data": "0102030405060708", "sent": 1},
        ),
        ("41 0002 abcd", {"type": "EXTENSION 0x41", "body": "abcd"}),
        ("00 00 00", {"type": "PADDING", "bytes": 15}),
        (
            "04 00000001 0003 99 6869",
            {
                "type": "MESSAGE",
                "hop_seq": 1,
                "im_packet": {"kind": "0x99, unknown and skipped", "body": "6869"},
            },
        ),
    ],
)
def test_frame_is_shown(text, tree):
    assert tree == only_frame(text)


def test_padding_is_one_line():
    frames = datagram_to_dict(sealed(f"{HEADER} 01 0000 01 00"))["frames"]
    assert ["PING", "PADDING", "PING", "PADDING"] == [frame["type"] for frame in frames]
    assert 2 == frames[1]["bytes"]


def test_what_could_steer_a_terminal_is_escaped():
    lines = describe_datagram(sealed(f"{HEADER} 03 0003 04 1b5b324a"))
    assert r"      reason: '\x1b[2J'" in lines


def fits_a_datagram(packet):
    return len(im_codec.encode(packet)) <= FRAME_BODY_BYTES_MAX


@given(packet=some.packets.filter(fits_a_datagram))
def test_no_im_packet_steers_a_terminal(packet):
    lines = describe_datagram(sealed(f"{HEADER} {message(1, im_codec.encode(packet))}"))
    assert [] == [line for line in lines if not line.isprintable()]


def test_a_refusal_s_recipient_steers_no_terminal():
    packet = some.EXAMPLES[Kind.REFUSE]._replace(to="\x1b[2J")
    lines = describe_datagram(sealed(f"{HEADER} {message(1, im_codec.encode(packet))}"))
    assert any("to: '\\x1b[2J'" in line for line in lines)


def test_long_payloads_are_elided_for_people_only():
    section = im_codec.encode_section(1, [0, 0], [b"x" * 65, b"\xff" * 65])
    packet = some.EXAMPLES[Kind.MSG_N]._replace(section=section)
    data = sealed(f"{HEADER} {message(1, im_codec.encode(packet))}")
    lines = [line.strip() for line in describe_datagram(data)]
    assert f"text: '{'x' * 64}…'" in lines
    assert f"hex: {'ff' * 64}…" in lines
    payloads = datagram_to_dict(data)["frames"][0]["im_packet"]["section"]["payloads"]
    assert [{"bytes": 65, "text": "x" * 65}, {"bytes": 65, "hex": "ff" * 65}] == payloads


# Handshake packets.

IDS = "1111111111111111 2222222222222222"
PARAMETERS = f"01 04 00007530  02 02 04b0  03 02 0400  04 04 00001388  06 10 {'ab' * 16}  77 01 ff"


def test_hello_is_shown_with_its_parameters():
    size = len(bytes.fromhex(PARAMETERS))
    head = f"81 0000000000000000 2222222222222222 02 abcd {size:04x} {PARAMETERS}"
    padding = "00" * (296 - len(bytes.fromhex(head)))
    tree = datagram_to_dict(sealed(f"{head} {padding}"))
    assert ("HELLO", "abcd") == (tree["type"], tree["token"])
    assert f"{len(padding) // 2} bytes" == tree["padding"]
    told = {item["name"]: item["value"] for item in tree["payload"]}
    assert {
        "idle_timeout_ms": 30000,
        "max_datagram_bytes": 1200,
        "frame_window": 1024,
        "max_ack_delay_us": 5000,
        "nonce": "ab" * 16,
        "unknown": "ff",
    } == told


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (sealed(f"89 {IDS} 03 abcdef"), {"type": "RETRY", "token": "abcdef"}),
        (sealed(f"a1 {IDS} 02 0102"), {"type": "VERSION", "versions": [1, 2]}),
        (
            bytes.fromhex(f"99 1111111111111111 {'cd' * 16}"),
            {"type": "RESET", "cid": "11" * 8, "token": "cd" * 16},
        ),
        (
            bytes.fromhex(f"61 1111111111111111 00000007 {'ab' * 19}"),
            {
                "form": "short",
                "packet_number": "0x00000007, masked",
                "sealed": "19 bytes, encrypted: not readable without the key",
            },
        ),
        (
            bytes.fromhex(f"c1 {IDS} 01 02 01 77 0002 abcd 0101") + bytes(257 + 16),
            {
                "type": "HELLO",
                "source_cid": "22" * 8,
                "pattern": 1,
                "suite": 2,
                "token": "77",
                "payload": "2 bytes, of the Noise handshake",
                "padding": "257 bytes",
                "mac": "00" * 16,
            },
        ),
        (
            bytes.fromhex(f"c9 {IDS} 03 abcdef {'cd' * 16}"),
            {"type": "RETRY", "token": "abcdef", "mac": "cd" * 16},
        ),
        (
            bytes.fromhex(f"d1 {IDS} 0003 abcdef"),
            {"type": "WELCOME", "payload": "3 bytes, of the Noise handshake"},
        ),
        (
            bytes.fromhex(f"e9 {IDS} 0003 abcdef"),
            {"type": "FINISH", "payload": "3 bytes, of the Noise handshake"},
        ),
    ],
)
def test_datagram_is_shown(data, fields):
    tree = datagram_to_dict(data)
    assert fields == {key: tree[key] for key in fields}
    assert f"{data[0]:#04x}" == tree["flags"]


# Refusals: one sentence that says where and why.


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "the datagram is empty"),
        (b"\x02" * 40, "the first byte says version 2; only 1 is known"),
        (b"\x21" * 40, "the first byte 0x21 has bits that are not in use"),
        (b"\x01" * 31, "the datagram has 31 bytes; the least is 32"),
        (sealed(HEADER)[:-1] + b"?", "the datagram has a wrong checksum, or is not whole"),
        (b"\x41" * 12, "the datagram has 12 bytes; the least is 32"),
        (b"\x01" * 1201, "the datagram has 1201 bytes; the most is 1200"),
        (b"\xd9" * 25, "the first byte 0xd9 has bits that are not in use"),
        (b"\xe9" * 12, "the datagram: field source_cid ends too early"),
        (
            sealed(f"{HEADER} 01 20"),
            "the frame of type 0x20 at offset 14: it is of an unknown type",
        ),
        (
            sealed(f"{HEADER} 01 04 00000001 0050 abcdef"),
            "the frame MESSAGE at offset 14: field body ends too early",
        ),
        (
            sealed(f"{HEADER} 02 00000001 0000 21"),
            "the frame ACK at offset 13: field bitmap_bytes has a value that is not allowed",
        ),
        (
            sealed(f"{HEADER} 03 0000 01 ff"),
            "the frame CLOSE at offset 13: field reason is not UTF-8",
        ),
        (
            sealed(f"{HEADER} 04 00000001 0000"),
            "the IM packet of hop_seq 1: unknown IM packet kind",
        ),
        (
            sealed(f"{HEADER} 04 00000001 0003 130000"),
            "the IM packet of hop_seq 1: malformed nudge:"
            " it is followed by bytes that do not belong to it",
        ),
        (
            sealed(f"{HEADER} 04 00000002 0008 0101000000010000"),
            "the IM packet of hop_seq 2: malformed msg:R: field name.incarnation ends too early",
        ),
        (sealed(f"91 {IDS} 0005 ab"), "the datagram: field payload ends too early"),
        (
            sealed(f"91 {IDS} 0002 0104"),
            "the handshake parameters: it has a value that is not allowed",
        ),
        (b"\x99" + bytes(20), "the datagram: field token ends too early"),
        (
            b"\x99" + bytes(25),
            "the datagram: it is followed by bytes that do not belong to it",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusal_is_one_sentence(data, sentence):
    assert sentence == refusal(data)


frames = st.lists(
    st.binary(max_size=12)
    | st.sampled_from([b"\x01", b"\x02\0\0\0\x05\0\0\x01\x01\x02", b"\x03\0\0\0", b"\x41\0\x01x"])
    | some.garbage().map(lambda body: bytes.fromhex(message(1, body))),
    max_size=4,
).map(b"".join)


@given(
    first=st.sampled_from([0x01, 0x81, 0x89, 0x91, 0x99, 0xA1, 0x41, 0xC1, 0xC9, 0xD1, 0xE9]),
    tail=frames,
)
def test_only_decode_error_leaves_whatever_the_bytes(first, tail):
    head = bytes((first, *range(1, 13))) if first < 0x80 else bytes((first, *range(16)))
    for data in (head + tail, sealed((head + tail).hex())):
        try:
            tree = datagram_to_dict(data)
        except DecodeError:
            assert "\n" not in refusal(data)
        else:
            assert tree == json.loads(json.dumps(tree))
            assert f"datagram of {len(data)} bytes" == describe_datagram(data)[0]


def test_bulk_frame_is_shown_like_a_message():
    body = bytes.fromhex(MSG_N)
    shown = only_frame(f"09 00000009 {len(body):04x} {MSG_N}")
    assert {**only_frame(message(9, body)), "type": "BULK"} == shown


def test_piece_of_a_body_is_shown_by_its_numbers():
    shown = only_frame("07 0000000a 00000007 0001 0002 0003 7a7a7a")
    assert {
        "type": "FRAGMENT",
        "hop_seq": 10,
        "group": 7,
        "index": 1,
        "count": 2,
        "body": "3 bytes of an IM packet",
    } == shown


def test_credit_is_shown():
    assert {"type": "CREDIT", "bulk_bytes_max": 5} == only_frame("08 0000000000000005")


SEALED = bytes((SEALED_SHORT_FLAGS,)) + bytes(8 + 4 + 40)


def test_an_encrypted_packet_that_somebody_opened_shows_its_number_and_frames():
    clear = InTheClear(packet_number=7, key_updates=2, frames=bytes((f.PING,)))
    tree = datagram_to_dict(SEALED, clear)
    assert (7, 2) == (tree["packet_number"], tree["key_updates"])
    assert ["PING"] == [frame["type"] for frame in tree["frames"]]
    assert "sealed" not in tree
    assert any("PING" in line for line in describe_datagram(SEALED, clear))


def test_opened_frames_that_are_none_are_refused():
    with pytest.raises(DecodeError, match="its frames"):
        datagram_to_dict(SEALED, InTheClear(0, 0, b"\x03"))
