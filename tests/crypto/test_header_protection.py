"""Masks for packet numbers, with the samples of RFC 9001."""

import pytest

from udpim.crypto.header_protection import AesMask, ChaCha20Mask
from udpim.errors import ConfigError

CHACHA_KEY = bytes.fromhex("25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4")
CHACHA_SAMPLE = bytes.fromhex("5e5cd55c41f69080575d7999c25a5bfb")
AES_KEY = bytes.fromhex("9f50449e04a0e810283a1e9933adedd2")
AES_SAMPLE = bytes.fromhex("d1b1c98dd7689fb8ec11d242b123dc9b")
MASKS = pytest.mark.parametrize(
    "masks", [ChaCha20Mask(CHACHA_KEY), AesMask(AES_KEY), AesMask(bytes(32))]
)


def test_chacha20_gives_the_mask_of_appendix_a5():
    assert "aefefe7d03" == ChaCha20Mask(CHACHA_KEY).mask(CHACHA_SAMPLE).hex()


def test_the_mask_makes_the_header_of_appendix_a5():
    """RFC 9001 §5.4.1: of a short header's flags, five bits are masked."""
    header = bytes.fromhex("4200bff4")
    mask = ChaCha20Mask(CHACHA_KEY).mask(CHACHA_SAMPLE)
    masked = bytes(h ^ m for h, m in zip(header, (mask[0] & 0x1F, *mask[1:]), strict=False))
    assert "4cfe4189" == masked.hex()


def test_aes_gives_the_mask_of_appendix_a2():
    assert "437b9aec36" == AesMask(AES_KEY).mask(AES_SAMPLE).hex()


@MASKS
def test_a_mask_depends_on_its_sample_alone(masks):
    first = masks.mask(CHACHA_SAMPLE)
    assert first != masks.mask(AES_SAMPLE)
    assert first == masks.mask(CHACHA_SAMPLE)
    assert 5 == len(first)


@MASKS
@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_sample_has_16_bytes(masks, size):
    with pytest.raises(AssertionError):
        masks.mask(bytes(size))


@pytest.mark.parametrize(("masks", "size"), [(ChaCha20Mask, 16), (AesMask, 24), (AesMask, 31)])
def test_a_key_of_another_size_is_refused(masks, size):
    with pytest.raises(ConfigError, match=f"this has {size}"):
        masks(bytes(size))
