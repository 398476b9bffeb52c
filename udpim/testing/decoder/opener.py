"""Opening encrypted short packets with the secrets of a key log (PROTOCOL §2.9).

An end may go by several connection ids; here it has the one that the key log names, and
`udpim.testing.aliases` knows the others.
"""

from __future__ import annotations

from udpim.crypto.key_log import ConnectionSecrets
from udpim.testing.decoder.datagrams import DATAGRAM_BYTES_MAX, SHORT_BYTES_MIN
from udpim.testing.decoder.packet_keys import Clear, Direction

ENCRYPTED_SHORT_FLAGS = 0x41
PHASE_BIT = 0x20


class Opener:
    """Opens the packets of all connections whose secrets it was told."""

    def __init__(self) -> None:
        """No secret is known."""
        self._directions: dict[bytes, Direction] = {}

    def learn(self, secrets: ConnectionSecrets) -> None:
        """Packets of this connection can be opened from now on; both its ends may tell."""
        for cid, secret in (
            (secrets.client_cid, secrets.to_client),
            (secrets.server_cid, secrets.to_server),
        ):
            if cid not in self._directions:
                self._directions[cid] = Direction(secrets.suite, secret)

    def open(self, cid: bytes, datagram: bytes) -> Clear | None:
        """Open a packet to the end whose first id this is; None if that cannot be done."""
        direction = self._directions.get(cid)
        if (
            direction is None
            or not SHORT_BYTES_MIN <= len(datagram) <= DATAGRAM_BYTES_MAX
            or datagram[0] & ~PHASE_BIT != ENCRYPTED_SHORT_FLAGS
        ):
            return None
        return direction.open(datagram)
