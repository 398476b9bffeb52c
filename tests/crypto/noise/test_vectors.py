"""The 944 handshakes of the cacophony project: 59 patterns in 16 suites, both sides."""

import json

import pytest

from tests.crypto.noise.suites_of_vectors import SUITES
from udpim.crypto.noise.cipher_state import CipherState
from udpim.crypto.noise.handshake_state import HandshakeState
from udpim.crypto.noise.patterns import pattern_named

PATTERNS = [
    "N", "K", "X", "NN", "NK", "NX", "XN", "XK", "XX", "KN", "KK", "KX", "IN", "IK", "IX",
    "NK1", "NX1", "X1N", "X1K", "XK1", "X1K1", "X1X", "XX1", "X1X1", "K1N", "K1K", "KK1",
    "K1K1", "K1X", "KX1", "K1X1",
    "I1N", "I1K", "IK1", "I1K1", "I1X", "IX1", "I1X1",
    "Npsk0", "Kpsk0", "Xpsk1", "NNpsk0", "NNpsk2", "NKpsk0", "NKpsk2", "NXpsk2", "XNpsk3",
    "XKpsk3", "XXpsk3",
    "KNpsk0", "KNpsk2", "KKpsk0", "KKpsk2", "KXpsk2", "INpsk1", "INpsk2", "IKpsk1", "IKpsk2",
    "IXpsk2",
]  # fmt: skip


@pytest.fixture(scope="module")
def vectors(vectors_dir):
    found = json.loads((vectors_dir / "noise-cacophony.json").read_text("utf-8"))["vectors"]
    return {vector["protocol_name"]: vector for vector in found}


def hexed(vector, name):
    return bytes.fromhex(vector[name]) if name in vector else None


def side(vector, pattern, suite, *, initiator):
    role = "init" if initiator else "resp"
    static, ephemeral = hexed(vector, f"{role}_static"), hexed(vector, f"{role}_ephemeral")
    return HandshakeState(
        pattern,
        suite,
        lambda size: ephemeral[:size],
        initiator=initiator,
        prologue=hexed(vector, f"{role}_prologue"),
        static=static and suite.dh.key_pair(static),
        remote_static=hexed(vector, f"{role}_remote_static"),
        psks=[bytes.fromhex(psk) for psk in vector.get(f"{role}_psks", ())],
    )


def check(vector, pattern, suite):
    """Write and read every message of a vector, in the handshake and behind it."""
    initiator = side(vector, pattern, suite, initiator=True)
    responder = side(vector, pattern, suite, initiator=False)
    messages = [
        (bytes.fromhex(message["payload"]), bytes.fromhex(message["ciphertext"]))
        for message in vector["messages"]
    ]
    sides = [initiator, responder]
    handshake, transport = messages[: len(pattern.messages)], messages[len(pattern.messages) :]
    for payload, ciphertext in handshake:
        assert ciphertext == sides[0].write_message(payload)
        assert payload == sides[1].read_message(ciphertext)
        sides.reverse()
    assert initiator.finished
    assert responder.finished
    assert initiator.handshake_hash == responder.handshake_hash == hexed(vector, "handshake_hash")
    ours, theirs = initiator.split(), responder.split()
    to_responder = CipherState(suite.cipher, ours.send), CipherState(suite.cipher, theirs.receive)
    to_initiator = CipherState(suite.cipher, theirs.send), CipherState(suite.cipher, ours.receive)
    assert transport
    for number, (payload, ciphertext) in enumerate(transport, len(handshake)):
        seal, open_ = to_responder if pattern.one_way or number % 2 == 0 else to_initiator
        assert ciphertext == seal.encrypt(b"", payload)
        assert payload == open_.decrypt(b"", ciphertext)


@pytest.mark.parametrize("pattern_name", PATTERNS)
def test_every_message_of_a_pattern_is_that_of_the_vectors(vectors, pattern_name):
    pattern = pattern_named(pattern_name)
    for suite in SUITES:
        check(vectors[suite.protocol_name(pattern_name)], pattern, suite)


def test_these_are_all_944_vectors(vectors):
    covered = {suite.protocol_name(pattern) for suite in SUITES for pattern in PATTERNS}
    assert 944 == len(vectors) == len(covered)
    assert covered == set(vectors)
