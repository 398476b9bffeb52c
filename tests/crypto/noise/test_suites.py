"""The algorithms, against the edge cases of Wycheproof where the vectors are at hand."""

import hashlib
import hmac
import random
from collections import Counter

import pytest
from cryptography.exceptions import InvalidTag

from tests.crypto.noise.suites_of_vectors import HASHES
from tests.crypto.noise.wycheproof import cases
from udpim.crypto.noise.errors import PublicKeyRefused
from udpim.crypto.noise.suites import (
    AES_GCM,
    BLAKE2S,
    CHACHA_POLY,
    DEFAULT_SUITE,
    NONCE_MAX,
    SHA256,
    X25519_DH,
)
from udpim.errors import ConfigError

ALICE = X25519_DH.key_pair(bytes(range(32)))
BOB = X25519_DH.key_pair(bytes(range(32, 64)))


def test_both_owners_get_the_same_secret():
    assert ALICE.exchange(BOB.public) == BOB.exchange(ALICE.public)


# RFC 7748 §7: points whose multiples by any private key are zero.
@pytest.mark.parametrize(
    "public",
    [
        bytes(32),
        (1).to_bytes(32, "little"),
        ((1 << 255) - 19).to_bytes(32, "little"),
        ((1 << 255) - 20).to_bytes(32, "little"),
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        b"short",
        bytes(33),
    ],
)
def test_a_public_key_without_a_secret_is_refused(public):
    with pytest.raises(PublicKeyRefused):
        ALICE.exchange(public)


def test_a_key_pair_is_printed_without_its_private_key():
    private = bytes(range(32))
    assert ALICE.public.hex() in repr(ALICE)
    assert private.hex() not in repr(ALICE)
    assert repr(private) not in repr(ALICE)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_private_key_of_another_size_is_refused(size):
    with pytest.raises(ConfigError, match="32 bytes"):
        X25519_DH.key_pair(bytes(size))


@pytest.mark.parametrize("cipher", [CHACHA_POLY, AES_GCM], ids=lambda c: c.name)
@pytest.mark.parametrize("size", [0, 16, 24, 31, 33])
def test_a_cipher_key_of_another_size_is_refused(cipher, size):
    with pytest.raises(ConfigError, match="32 bytes"):
        cipher.keyed(bytes(size))


def test_nonces_are_packed_as_noise_says():
    assert "000000000807060504030201" == CHACHA_POLY.nonce(0x0102030405060708).hex()
    assert "000000000102030405060708" == AES_GCM.nonce(0x0102030405060708).hex()
    assert bytes(4) + b"\xff" * 8 == CHACHA_POLY.nonce(NONCE_MAX)


@pytest.mark.parametrize("cipher", [CHACHA_POLY, AES_GCM], ids=lambda c: c.name)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17])
def test_garbage_of_any_length_fails_in_one_way(cipher, size):
    with pytest.raises(InvalidTag):
        cipher.keyed(bytes(32)).decrypt(cipher.nonce(0), bytes(size), b"")


def test_the_default_has_its_name():
    assert "Noise_XK_25519_ChaChaPoly_BLAKE2s" == DEFAULT_SUITE.protocol_name("XK")


def test_hashes_are_those_of_their_names():
    # RFC 7693 appendix B; FIPS 180-2 appendix B.1: both of "abc".
    assert BLAKE2S.digest(b"abc").hex().startswith("508c5e8c327c14e2e1a72ba34eeb452f")
    assert SHA256.digest(b"abc").hex().startswith("ba7816bf8f01cfea414140de5dae2223")
    assert BLAKE2S.size_bytes == len(BLAKE2S.hmac(b"key", b"data"))


@pytest.mark.parametrize("hash_", HASHES, ids=lambda hash_: hash_.name)
def test_keyed_hashes_are_those_of_the_standard_library(hash_, seed):
    rng, name = random.Random(seed), hash_.name.lower()
    assert hash_.block_bytes == hashlib.new(name).block_size
    for size in range(2 * hash_.block_bytes + 3):
        key, data = rng.randbytes(size), rng.randbytes(rng.randrange(300))
        assert hmac.digest(key, data, name) == hash_.hmac(key, data)


def test_no_file_of_wycheproof_is_left_out(vectors_dir):
    """Those of HKDF are in test_hkdf.py, the others here."""
    found = {path.stem.removesuffix("_test") for path in vectors_dir.glob("wycheproof-*")}
    names = ("aes_gcm", "chacha20_poly1305", "hkdf_sha256", "hmac_sha256", "x25519")
    assert {f"wycheproof-{name}" for name in names} == found


def test_x25519_is_that_of_wycheproof(vectors_dir):
    """A shared secret of zero is *acceptable* there; we are those who do not accept it."""
    seen = Counter()
    for case in cases(vectors_dir, "x25519"):
        pair, public, shared = X25519_DH.key_pair(case["private"]), case["public"], case["shared"]
        if "ZeroSharedSecret" in case["flags"]:
            assert (bytes(32), "acceptable") == (shared, case["result"])
            with pytest.raises(PublicKeyRefused):
                pair.exchange(public)
            seen["refused"] += 1
        else:
            assert shared == pair.exchange(public)
            seen[case["result"]] += 1
    assert {"valid": 264, "acceptable": 223, "refused": 31} == seen


def opens(aead, case):
    """What comes out, None if the AEAD refuses; ValueError is for nonces that it cannot have."""
    try:
        return aead.decrypt(case["iv"], case["ct"] + case["tag"], case["aad"])
    except (InvalidTag, ValueError):
        return None


def check_aead(aead, case):
    if case["result"] == "valid":
        assert case["msg"] == opens(aead, case)
        assert case["ct"] + case["tag"] == aead.encrypt(case["iv"], case["msg"], case["aad"])
    else:
        assert opens(aead, case) is None
    return case["result"]


def test_chacha20_poly1305_is_that_of_wycheproof(vectors_dir):
    seen = Counter(
        check_aead(CHACHA_POLY.keyed(case["key"]), case)
        for case in cases(vectors_dir, "chacha20_poly1305")
    )
    assert {"valid": 256, "invalid": 69} == seen


def test_aes_256_gcm_is_that_of_wycheproof(vectors_dir):
    """Shorter keys are refused; other nonces than those of 12 bytes cannot be asked for."""
    seen = Counter()
    for case in cases(vectors_dir, "aes_gcm"):
        if case["keySize"] != 256:
            with pytest.raises(ConfigError):
                AES_GCM.keyed(case["key"])
            seen["other key"] += 1
        elif len(case["iv"]) != len(AES_GCM.nonce(0)):
            seen["other nonce"] += 1
        else:
            seen[check_aead(AES_GCM.keyed(case["key"]), case)] += 1
    assert {"valid": 39, "invalid": 27, "other key": 211, "other nonce": 39} == seen


def test_hmac_is_that_of_wycheproof(vectors_dir):
    """Some tags are cut to 128 bits; a modified one must differ from what we compute."""
    seen = Counter()
    for case in cases(vectors_dir, "hmac_sha256"):
        ours = SHA256.hmac(case["key"], case["msg"])[: case["tagSize"] // 8]
        assert (case["result"] == "valid") == (case["tag"] == ours)
        seen[case["result"]] += 1
    assert {"valid": 66, "invalid": 108} == seen
