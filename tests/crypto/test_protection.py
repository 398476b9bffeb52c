"""The plaintext stand-in for encryption."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from udpim.crypto.protection import PlaintextProtection

HEADER = bytes(range(13))


@given(st.binary(max_size=64))
def test_what_was_sealed_opens(payload):
    sealed = PlaintextProtection().seal(HEADER, 7, payload)
    assert len(sealed) == len(payload) + PlaintextProtection.tag_bytes
    assert PlaintextProtection().open(HEADER, 7, sealed) == payload


def test_the_tag_is_the_checksum_of_all_that_stands_before_it():
    sealed = PlaintextProtection().seal(HEADER, 7, b"frames")
    assert sealed == b"frames" + zlib.crc32(HEADER + b"frames").to_bytes(4, "big")


@given(st.integers(0, 13 + 6 + 4 - 1), st.integers(1, 255))
def test_a_changed_byte_anywhere_is_noticed(at, change):
    datagram = bytearray(HEADER + PlaintextProtection().seal(HEADER, 7, b"frames"))
    datagram[at] ^= change
    assert PlaintextProtection().open(bytes(datagram[:13]), 7, bytes(datagram[13:])) is None


def test_what_is_shorter_than_a_tag_does_not_open():
    assert PlaintextProtection().open(HEADER, 7, b"abc") is None


def test_plaintext_says_that_it_is_plaintext():
    assert not PlaintextProtection.encrypted
