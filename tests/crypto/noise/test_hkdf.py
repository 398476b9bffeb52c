"""HKDF, against Wycheproof where the vectors are at hand."""

from collections import Counter

import pytest

from tests.crypto.noise.wycheproof import cases
from udpim.crypto.noise.hkdf import chain, expand, extract
from udpim.crypto.noise.suites import BLAKE2S, SHA256
from udpim.errors import ConfigError


def test_hkdf_is_that_of_wycheproof(vectors_dir):
    seen = Counter()
    for case in cases(vectors_dir, "hkdf_sha256"):
        key = extract(SHA256, case["salt"], case["ikm"])
        if case["result"] == "valid":
            assert case["okm"] == expand(SHA256, key, case["info"], case["size"])
        else:
            with pytest.raises(ConfigError):
                expand(SHA256, key, case["info"], case["size"])
        seen[case["result"]] += 1
    assert {"valid": 83, "invalid": 3} == seen


def test_keys_of_a_quic_sample_come_out():
    """RFC 9001 A.5: secrets of TLS 1.3, expanded under labels."""
    secret = bytes.fromhex("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b")
    for label, size, expected in (
        ("key", 32, "c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8"),
        ("iv", 12, "e0459b3474bdd0e44a41c144"),
        ("hp", 32, "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4"),
        ("ku", 32, "1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9"),
    ):
        name = f"tls13 quic {label}".encode()
        info = size.to_bytes(2, "big") + bytes((len(name),)) + name + b"\0"
        assert expected == expand(SHA256, secret, info, size).hex()


def test_255_blocks_are_the_most():
    assert 255 * 32 == len(expand(BLAKE2S, bytes(32), b"", 255 * 32))
    with pytest.raises(ConfigError, match="8160 bytes at most"):
        expand(BLAKE2S, bytes(32), b"", 255 * 32 + 1)


def test_more_outputs_begin_like_fewer():
    two, three = chain(BLAKE2S, bytes(32), b"secret", 2), chain(BLAKE2S, bytes(32), b"secret", 3)
    assert two == three[:2]
    assert 3 == len({bytes(32), *two})
    assert [32, 32, 32] == [len(output) for output in three]
