"""No word of a message crosses an encrypted network: every datagram is searched for a canary.

The world's senders put the same secret bytes into every payload; in a world whose connections are
encrypted nobody may see them on the wire (PROTOCOL §2.9).
"""

from __future__ import annotations

from udpim.testing.history import History
from udpim.testing.promises import Stories

CANARY_BYTES = 12


def no_plaintext(h: History, canary: bytes) -> Stories:
    """No datagram shows the canary."""
    for crossing in h.crossings:
        if canary in crossing.data:
            what = "+".join(crossing.content.labels)
            yield f"datagram {crossing.number} from {crossing.source[0]} shows a payload: {what}"
