"""Handshakes with an implementation by others, the package `noiseprotocol`, in both roles."""

import pytest
from cryptography.exceptions import InvalidTag
from noise.connection import Keypair, NoiseConnection
from noise.exceptions import NoiseInvalidMessage

from tests.crypto.noise.helpers import CLIENT, PSK, SERVER, side
from udpim.crypto.aead_protection import AeadProtection
from udpim.crypto.noise.cipher_state import CipherState
from udpim.crypto.noise.patterns import pattern_named
from udpim.crypto.noise.suites import DEFAULT_SUITE
from udpim.crypto.security import SUITES

PROLOGUE = b"what both have seen"
PATTERNS = ("XK", "XX", "XKpsk3", "XXpsk3", "NK")
PRIVATE = {True: bytes(range(32)), False: bytes(range(32, 64))}  # those of the helpers' pairs


def other_side(name, *, initiator, suite=DEFAULT_SUITE):
    pattern = pattern_named(name)
    other = NoiseConnection.from_name(suite.protocol_name(name).encode())
    other.set_as_initiator() if initiator else other.set_as_responder()
    other.set_prologue(PROLOGUE)
    if pattern.needs_static(initiator=initiator):
        other.set_keypair_from_private_bytes(Keypair.STATIC, PRIVATE[initiator])
    if pattern.knows_before(initiator=initiator):
        public = (SERVER if initiator else CLIENT).public
        other.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, public)
    if pattern.psks:
        other.set_psks(PSK)
    other.start_handshake()
    return other


def talk(ours, other):
    """A whole handshake, with a payload in every message."""
    number = 0
    while not ours.finished:
        payload = b"payload %d" % number
        if ours.may_write:
            assert payload == other.read_message(ours.write_message(payload))
        else:
            assert payload == ours.read_message(bytes(other.write_message(payload)))
        number += 1


@pytest.mark.parametrize("initiator", [True, False], ids=["ours begins", "theirs begins"])
@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.cipher.name)
@pytest.mark.parametrize("name", PATTERNS)
def test_a_handshake_succeeds_and_messages_go_both_ways(name, suite, initiator):
    ours = side(name, initiator=initiator, suite=suite, prologue=PROLOGUE)
    other = other_side(name, initiator=not initiator, suite=suite)
    talk(ours, other)
    assert other.handshake_finished
    assert other.get_handshake_hash() == ours.handshake_hash
    keys = ours.split()
    seal, open_ = CipherState(keys.cipher, keys.send), CipherState(keys.cipher, keys.receive)
    for number in range(5):
        assert b"%d" % number == other.decrypt(seal.encrypt(b"", b"%d" % number))
        assert b"%d" % number == open_.decrypt(b"", other.encrypt(b"%d" % number))
    seal.rekey()
    open_.rekey()
    other.rekey_inbound_cipher()
    other.rekey_outbound_cipher()
    assert b"new keys" == other.decrypt(seal.encrypt(b"", b"new keys"))
    assert b"new keys" == open_.decrypt(b"", other.encrypt(b"new keys"))


def test_packets_are_messages_of_noise_with_their_number_as_nonce():
    ours, other = side("XK", initiator=True, prologue=PROLOGUE), other_side("XK", initiator=False)
    talk(ours, other)
    keys = ours.split()
    packets = AeadProtection(keys.cipher, keys.send)
    assert b"zero" == other.decrypt(packets.seal(b"", 0, b"zero"))
    assert b"one" == other.decrypt(packets.seal(b"", 1, b"one"))
    with pytest.raises(NoiseInvalidMessage):
        other.decrypt(packets.seal(b"", 3, b"not two"))
    incoming = AeadProtection(keys.cipher, keys.receive)
    assert b"back" == incoming.open(b"", 0, other.encrypt(b"back"))


def test_a_peer_with_another_prologue_is_not_met():
    ours = side("XK", initiator=True, prologue=b"another")
    other = other_side("XK", initiator=False)
    with pytest.raises(InvalidTag):
        other.read_message(ours.write_message())
