"""The keys that are drawn from a handshake's secrets."""

import hmac

import pytest

from udpim.crypto.aead_protection import AeadProtection
from udpim.crypto.header_protection import AesMask
from udpim.crypto.noise.handshake_state import TransportKeys
from udpim.crypto.packet_keys import packet_keys
from udpim.crypto.security import SUITES

FIRST, SECOND = bytes(range(32)), bytes(range(32, 64))


def two(suite):
    """The keys of both ends."""
    hash_, cipher = suite.hash, suite.cipher
    return (
        packet_keys(hash_, TransportKeys(cipher=cipher, send=FIRST, receive=SECOND)),
        packet_keys(hash_, TransportKeys(cipher=cipher, send=SECOND, receive=FIRST)),
    )


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.cipher.name)
def test_what_one_end_seals_and_masks_the_other_opens_and_unmasks(suite):
    client, server = two(suite)
    header, sample = bytes(13), bytes(16)
    sealed = client.schedule.seal(header, 0, b"frames")
    assert b"frames" == server.schedule.open(header, 0, sealed)
    assert client.send_mask.mask(sample) == server.receive_mask.mask(sample)
    assert server.send_mask.mask(sample) == client.receive_mask.mask(sample)
    assert client.send_mask.mask(sample) != client.receive_mask.mask(sample)


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.cipher.name)
def test_keys_are_drawn_under_a_label_each(suite):
    """HKDF-Expand for one block, written out."""

    def drawn(secret, label):
        return hmac.digest(secret, label + b"\x01", suite.hash.name.lower())

    client, _ = two(suite)
    packets = AeadProtection(suite.cipher, drawn(FIRST, b"udpim packets"))
    header = bytes(13)
    assert packets.seal(header, 5, b"frames") == client.schedule.seal(header, 5, b"frames")
    headers = AesMask(drawn(FIRST, b"udpim headers"))
    assert headers.mask(bytes(16)) == client.send_mask.mask(bytes(16))


def test_keys_are_not_printed():
    client, _ = two(SUITES[1])
    assert "AeadProtection" not in repr(client)
    assert FIRST.hex() not in repr(client)
    assert repr(FIRST) not in repr(client)
