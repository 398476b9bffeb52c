"""What the oracle asks of encryption itself, beside the invariants of the messages.

Specification: PROTOCOL §2.9.
"""

from __future__ import annotations

from udpim.testing.history import History
from udpim.testing.promises import Stories


def no_nonce_twice(h: History) -> Stories:
    """No key seals two packets under one number; a datagram that comes twice is one packet.

    A test may replay it, and a gate of a cluster sends on whatever the bus brings it again.
    An AEAD that is asked for that twice gives both packets away, and its authentication key.
    """
    seen: dict[tuple[bytes, int, int], bytes] = {}
    for crossing in h.crossings:
        nonce = crossing.content.nonce
        if nonce is None or crossing.replayed:
            continue
        if seen.setdefault(nonce, crossing.data) != crossing.data:
            cid, generation, number = nonce
            yield f"packet {number} to {cid.hex()}, key {generation}, was sealed twice"
