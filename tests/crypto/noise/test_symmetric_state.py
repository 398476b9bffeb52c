"""What a handshake has agreed on so far."""

import pytest

from udpim.crypto.noise.errors import AuthenticationFailed
from udpim.crypto.noise.suites import BLAKE2S, CHACHA_POLY
from udpim.crypto.noise.symmetric_state import SymmetricState


def state(name=b"name"):
    return SymmetricState(name, CHACHA_POLY, BLAKE2S)


def test_a_long_name_is_hashed_and_a_short_one_padded():
    assert b"name".ljust(32, b"\0") == state().transcript_hash
    assert bytes(range(32)) == state(bytes(range(32))).transcript_hash
    assert BLAKE2S.digest(bytes(33)) == state(bytes(33)).transcript_hash


def test_nothing_is_sealed_before_there_is_a_key():
    ours = state()
    assert not ours.has_key
    assert b"open" == ours.encrypt_and_hash(b"open")
    ours.mix_key(b"secret")
    assert ours.has_key
    assert b"open" != ours.encrypt_and_hash(b"open")


@pytest.mark.parametrize(
    "mix",
    [
        lambda s: s.mix_hash(b"other"),
        lambda s: s.mix_key(b"other"),
        lambda s: s.mix_key_and_hash(b"other"),
        lambda s: s.encrypt_and_hash(b"other"),
    ],
)
def test_whatever_one_side_alone_mixes_in_keeps_the_other_from_opening(mix):
    ours, theirs = state(), state()
    for side in (ours, theirs):
        side.mix_key(b"shared")
    mix(ours)
    with pytest.raises(AuthenticationFailed):
        theirs.decrypt_and_hash(ours.encrypt_and_hash(b"payload"))


def test_a_psk_is_in_the_transcript_and_a_key_is_not():
    ours = state()
    ours.mix_key(b"secret")
    assert state().transcript_hash == ours.transcript_hash
    ours.mix_key_and_hash(b"psk")
    assert state().transcript_hash != ours.transcript_hash


def test_a_copy_goes_its_own_way():
    ours = state()
    ours.mix_key(b"secret")
    before = ours.transcript_hash, ours.split()
    other = ours.copy()
    sealed = other.encrypt_and_hash(b"payload")
    other.mix_key(b"more")
    assert before == (ours.transcript_hash, ours.split())
    assert b"payload" == ours.decrypt_and_hash(sealed)


def test_the_two_keys_of_a_split_differ():
    first, second = state().split()
    assert first != second
    assert (32, 32) == (len(first), len(second))
