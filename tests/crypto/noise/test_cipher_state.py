"""A key, and the number of the next message."""

import pytest

from udpim.crypto.noise.cipher_state import CipherState, successor
from udpim.crypto.noise.errors import AuthenticationFailed, KeyExhausted
from udpim.crypto.noise.suites import AES_GCM, CHACHA_POLY, NONCE_MAX

KEY = bytes(range(32))
CIPHERS = pytest.mark.parametrize("cipher", [CHACHA_POLY, AES_GCM], ids=lambda c: c.name)


@CIPHERS
def test_messages_open_in_their_order(cipher):
    ours, theirs = CipherState(cipher, KEY), CipherState(cipher, KEY)
    first, second = ours.encrypt(b"ad", b"same"), ours.encrypt(b"ad", b"same")
    assert first != second
    with pytest.raises(AuthenticationFailed):
        theirs.decrypt(b"ad", second)
    assert b"same" == theirs.decrypt(b"ad", first), "the failure has not used up a number"
    assert b"same" == theirs.decrypt(b"ad", second)


@CIPHERS
@pytest.mark.parametrize("garbage", [b"", b"x", bytes(15), bytes(16), bytes(100)])
def test_garbage_is_not_opened(cipher, garbage):
    with pytest.raises(AuthenticationFailed):
        CipherState(cipher, KEY).decrypt(b"", garbage)


def test_other_associated_data_is_noticed():
    sealed = CipherState(CHACHA_POLY, KEY).encrypt(b"header", b"payload")
    with pytest.raises(AuthenticationFailed):
        CipherState(CHACHA_POLY, KEY).decrypt(b"Header", sealed)


def test_without_a_key_everything_passes():
    state = CipherState(CHACHA_POLY)
    assert not state.has_key
    assert (b"open", b"open") == (state.encrypt(b"", b"open"), state.decrypt(b"", b"open"))


def test_the_last_number_is_for_the_next_key():
    ours = CipherState(CHACHA_POLY, KEY, number=NONCE_MAX - 1)
    theirs = CipherState(CHACHA_POLY, KEY, number=NONCE_MAX - 1)
    sealed = ours.encrypt(b"", b"last")
    assert b"last" == theirs.decrypt(b"", sealed)
    with pytest.raises(KeyExhausted, match="nonces"):
        ours.encrypt(b"", b"one more")
    with pytest.raises(KeyExhausted, match="nonces"):
        theirs.decrypt(b"", sealed)


@CIPHERS
def test_a_new_key_is_made_with_the_last_number(cipher):
    made = cipher.keyed(KEY).encrypt(cipher.nonce(NONCE_MAX), bytes(32), b"")[:32]
    assert made == successor(cipher, cipher.keyed(KEY))
    ours = CipherState(cipher, KEY, number=5)
    ours.rekey()
    assert CipherState(cipher, made, number=5).encrypt(b"", b"x") == ours.encrypt(b"", b"x")


def test_a_copy_counts_for_itself():
    state = CipherState(CHACHA_POLY, KEY)
    assert state.copy().encrypt(b"", b"x") == state.encrypt(b"", b"x")
    assert state.copy().has_key
