"""Packets under an AEAD, and what a key may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udpim.crypto.aead_protection import LIMITS, AeadProtection, UseLimits
from udpim.crypto.noise.errors import KeyExhausted
from udpim.crypto.noise.suites import AES_GCM, CHACHA_POLY, NONCE_MAX, AeadCipher
from udpim.errors import ConfigError, LocalProtocolError

KEY = bytes(range(32))
HEADER = bytes(range(13))
FEW = UseLimits(sealed_packets_max=3, forged_packets_max=2)
CIPHERS = pytest.mark.parametrize("cipher", [CHACHA_POLY, AES_GCM], ids=lambda c: c.name)


def protection(cipher=CHACHA_POLY, **options):
    return AeadProtection(cipher, KEY, **options)


@CIPHERS
@given(payload=st.binary(max_size=64), number=st.integers(0, NONCE_MAX - 1))
def test_what_was_sealed_opens(cipher, payload, number):
    sealed = protection(cipher).seal(HEADER, number, payload)
    assert len(payload) + AeadProtection(cipher, KEY).tag_bytes == len(sealed)
    assert payload == protection(cipher).open(HEADER, number, sealed)


@CIPHERS
@given(at=st.integers(0, 13 + 6 + 16 - 1), change=st.integers(1, 255))
def test_a_changed_byte_anywhere_is_noticed(cipher, at, change):
    datagram = bytearray(HEADER + protection(cipher).seal(HEADER, 7, b"frames"))
    datagram[at] ^= change
    assert protection(cipher).open(bytes(datagram[:13]), 7, bytes(datagram[13:])) is None


@CIPHERS
def test_another_number_does_not_open(cipher):
    sealed = protection(cipher).seal(HEADER, 7, b"frames")
    assert protection(cipher).open(HEADER, 8, sealed) is None
    assert protection(cipher).open(HEADER, 7 + (1 << 32), sealed) is None


@given(st.binary(max_size=64))
def test_garbage_does_not_open(garbage):
    assert protection().open(HEADER, 0, garbage) is None


def test_the_number_is_the_nonce_and_the_header_is_authenticated():
    plain = CHACHA_POLY.keyed(KEY).encrypt(bytes(4) + (300).to_bytes(8, "little"), b"x", HEADER)
    assert plain == protection().seal(HEADER, 300, b"x")


def test_it_says_that_it_is_encrypted():
    assert (True, 16) == (protection().encrypted, protection().tag_bytes)


@pytest.mark.parametrize("number", [0, 4, 5])
def test_a_number_is_never_used_again(number):
    ours = protection()
    ours.seal(HEADER, 5, b"")
    with pytest.raises(LocalProtocolError, match=f"packet number {number}"):
        ours.seal(HEADER, number, b"")
    assert 1 == ours.sealed_packets


def test_the_last_number_is_refused():
    with pytest.raises(KeyExhausted, match="nonces"):
        protection().seal(HEADER, NONCE_MAX, b"")
    sealed = CHACHA_POLY.keyed(KEY).encrypt(CHACHA_POLY.nonce(NONCE_MAX), b"", HEADER)
    assert protection().open(HEADER, NONCE_MAX, sealed) is None


# Limits.


def test_limits_are_those_of_rfc_9001():
    assert (1 << 23, 1 << 52) == (
        LIMITS["AESGCM"].sealed_packets_max,
        LIMITS["AESGCM"].forged_packets_max,
    )
    assert 1 << 36 == LIMITS["ChaChaPoly"].forged_packets_max
    assert LIMITS["AESGCM"] is protection(AES_GCM).limits


def test_a_cipher_without_known_limits_is_refused():
    unknown = AeadCipher("Unknown", CHACHA_POLY.aead, CHACHA_POLY.nonce)
    with pytest.raises(ConfigError, match="Unknown"):
        AeadProtection(unknown, KEY)
    assert AeadProtection(unknown, KEY, limits=FEW).limits is FEW


def test_a_key_seals_no_more_than_it_may_and_says_so_before():
    ours = protection(limits=FEW)
    for number in range(3):
        assert ours.exhausted is None
        ours.seal(HEADER, number, b"")
    assert "confidentiality limit" == ours.exhausted
    with pytest.raises(KeyExhausted, match="confidentiality limit"):
        ours.seal(HEADER, 3, b"")


def test_after_too_many_forgeries_nothing_opens_and_nothing_raises():
    sealed = protection().seal(HEADER, 7, b"true")
    theirs = protection(limits=FEW)
    for _ in range(FEW.forged_packets_max):
        assert theirs.exhausted is None
        assert b"true" == theirs.open(HEADER, 7, sealed)
        assert theirs.open(HEADER, 7, b"false" * 5) is None
    assert "integrity limit" == theirs.exhausted
    assert theirs.open(HEADER, 7, sealed) is None
    assert FEW.forged_packets_max == theirs.forged_packets


def test_a_successor_has_another_key_and_begins_to_count_anew():
    ours, theirs = protection(limits=FEW), protection(limits=FEW)
    ours.seal(HEADER, 9, b"")
    after = ours.successor()
    assert (0, FEW) == (after.sealed_packets, after.limits)
    sealed = after.seal(HEADER, 10, b"frames")
    assert theirs.open(HEADER, 10, sealed) is None
    assert b"frames" == theirs.successor().open(HEADER, 10, sealed)


def test_a_key_is_not_printed():
    assert KEY.hex() not in repr(protection())
    assert repr(KEY) not in repr(protection())


# RFC 9001 A.5. Its nonces have another beginning than ours, and our headers are masked by AES in
# both suites, not by ChaCha20 (PROTOCOL §2.9); so this asks the cipher alone: key, nonce and
# associated data. test_header_protection.py has the sample's mask, noise/test_hkdf.py its keys.


def test_the_cipher_seals_the_sample_packet_of_appendix_a5():
    key = bytes.fromhex("c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8")
    nonce, header = bytes.fromhex("e0459b3474bdd0e46d417eb0"), bytes.fromhex("4200bff4")
    sealed = CHACHA_POLY.keyed(key).encrypt(nonce, b"\x01", header)
    assert "655e5cd55c41f69080575d7999c25a5bfb" == sealed.hex()
    assert b"\x01" == CHACHA_POLY.keyed(key).decrypt(nonce, sealed, header)
