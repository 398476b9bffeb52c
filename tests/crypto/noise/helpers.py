"""Two sides of a handshake with keys that anybody can read here."""

import random

from udpim.crypto.noise.handshake_state import HandshakeState
from udpim.crypto.noise.patterns import pattern_named
from udpim.crypto.noise.suites import DEFAULT_SUITE

CLIENT = DEFAULT_SUITE.dh.key_pair(bytes(range(32)))
SERVER = DEFAULT_SUITE.dh.key_pair(bytes(range(32, 64)))
PSK = bytes(range(64, 96))


def side(pattern, *, initiator, seed=0, suite=DEFAULT_SUITE, **changed):
    """One side, with the keys that its pattern needs unless others are named."""
    if isinstance(pattern, str):
        pattern = pattern_named(pattern)
    mine, theirs = (CLIENT, SERVER) if initiator else (SERVER, CLIENT)
    given = {
        "static": mine if pattern.needs_static(initiator=initiator) else None,
        "remote_static": theirs.public if pattern.knows_before(initiator=initiator) else None,
        "psks": [PSK] * pattern.psks,
        **changed,
    }
    rng = random.Random(f"{seed}/{initiator}")
    return HandshakeState(pattern, suite, rng.randbytes, initiator=initiator, **given)


def both(pattern, **changed):
    """(initiator, responder)."""
    return tuple(side(pattern, initiator=initiator, **changed) for initiator in (True, False))


def finish(initiator, responder):
    """Let two sides talk to the end."""
    sides = [initiator, responder]
    while not initiator.finished:
        sides[1].read_message(sides[0].write_message())
        sides.reverse()
