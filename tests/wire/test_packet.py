"""Headers and long packets, read and written with struct."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.hop_strategies import CIDS, LONG_PACKETS, SECURE_PACKETS, U32, checksummed
from tests.wire.hop_vectors import load, long_packet_fields
from udpim.errors import DecodeError
from udpim.wire import packet as p

CLASSES = {
    "HELLO": p.Hello,
    "RETRY": p.Retry,
    "WELCOME": p.Welcome,
    "RESET": p.Reset,
    "VERSION": p.VersionOffer,
}
SECURE_CLASSES = {
    "HELLO": p.SecureHello,
    "RETRY": p.SecureRetry,
    "WELCOME": p.SecureWelcome,
    "FINISH": p.Finish,
}


@pytest.mark.parametrize(("data", "entry"), load("long_packets"))
def test_long_packet_vectors_are_read_and_written(data, entry):
    classes = SECURE_CLASSES if data[0] & p.FLAG_ENCRYPTED else CLASSES
    packet = classes[entry["type"]](**long_packet_fields(entry["value"]))
    assert p.parse_long(data) == packet
    assert p.encode_long(packet) == data


@pytest.mark.parametrize(
    ("data", "entry"), [v for v in load("refused_datagrams") if v.values[0][:1] >= b"\x80"]
)
def test_refused_long_packets_are_refused(data, entry):
    with pytest.raises(DecodeError):
        p.parse_long(data)


def test_a_datagram_has_1200_bytes_at_most():
    def hello(size):
        return p.Hello(source_cid=bytes(8), token=b"", payload=bytes(size))

    assert 1200 == len(p.encode_long(hello(1176)))
    assert hello(1176) == p.parse_long(p.encode_long(hello(1176)))
    with pytest.raises(DecodeError, match="too long"):
        p.parse_long(p.encode_long(hello(1177)))


@given(LONG_PACKETS | SECURE_PACKETS)
def test_long_packets_survive_the_round_trip(packet):
    assert p.parse_long(p.encode_long(packet)) == packet


@given(st.binary(max_size=400))
def test_garbage_is_refused_by_decode_error_only(data):
    with pytest.raises(DecodeError):
        p.parse_long(data)


@given(CIDS, U32, st.integers(0, 255))
def test_a_short_header_survives_the_round_trip(cid, number, flags):
    header = p.encode_short_header(flags, cid, number + (7 << 32))
    assert len(header) == p.SHORT_HEADER_BYTES
    assert p.parse_short_header(header + bytes(19)) == (flags, cid, number)


def test_a_short_packet_below_its_least_size_is_refused():
    with pytest.raises(DecodeError, match="too short"):
        p.parse_short_header(bytes(p.SHORT_BYTES_MIN - 1))


def test_both_forms_have_their_connection_id_in_one_place():
    short = p.encode_short_header(1, b"8 bytes.", 1)
    long = p.encode_long(
        p.Welcome(destination_cid=b"8 bytes.", source_cid=b"01234567", payload=b"")
    )
    assert (p.is_long(short), p.is_long(long)) == (False, True)
    assert p.destination_cid(short) == p.destination_cid(long) == b"8 bytes."
    assert p.destination_cid(short[:8]) is None


def test_welcome_fits_into_the_least_hello():
    """No answer to an unproven address may be larger than what came from it."""
    hello = p.encode_long(p.Hello(source_cid=b"01234567", token=b"", payload=b""))
    assert len(hello) == p.HELLO_BYTES_MIN
    hello = p.SecureHello(source_cid=b"01234567", pattern=1, suite=1, token=b"abc", payload=b"")
    assert len(p.encode_long(hello)) == p.HELLO_BYTES_MIN


def test_the_clear_part_of_a_hello_ends_before_the_noise_message():
    hello = p.SecureHello(source_cid=b"01234567", pattern=1, suite=1, token=b"abc", payload=b"msg")
    data = p.encode_long(hello)
    assert data[hello.clear_bytes :].startswith(b"\0\3msg")


def hello_of_version(version, kind=p.LongType.HELLO, size=296):
    head = bytes((p.FLAG_LONG | kind << 3 | version,)) + b"destinat" + b"source.."
    return checksummed(head.ljust(size, b"\0"))


def test_a_foreign_version_is_told_apart():
    assert p.foreign_version_ids(hello_of_version(2)) == (b"destinat", b"source..")


@pytest.mark.parametrize(
    "data",
    [
        hello_of_version(p.VERSION),
        hello_of_version(2, p.LongType.VERSION),
        hello_of_version(2, p.LongType.RESET),
        hello_of_version(2, size=200),
        bytes(300),
    ],
    ids=["our version", "VERSION", "RESET", "shorter than a HELLO", "short form"],
)
def test_nothing_else_earns_a_version_answer(data):
    assert p.foreign_version_ids(data) is None
