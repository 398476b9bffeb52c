"""Encrypted short packets, sealed by the product's keys, as often updated as a test likes."""

from udpim.crypto.key_log import ConnectionSecrets
from udpim.crypto.packet_keys import direction_keys
from udpim.crypto.security import SUITES
from udpim.wire.packet import encode_short_header

CLIENT_CID, SERVER_CID = b"client's", b"server's"
PAYLOAD = b"frames of a packet"


def secrets(suite=1):
    """Those of one connection."""
    return ConnectionSecrets(
        suite=suite,
        client_cid=CLIENT_CID,
        server_cid=SERVER_CID,
        to_client=bytes(range(32)),
        to_server=bytes(range(32, 64)),
    )


class Sender:
    """One direction, as its sender has it."""

    def __init__(self, suite=1, *, secret=None):
        known = SUITES[suite]
        secret = secret or secrets(suite).to_server
        self._aead, self._mask = direction_keys(known.hash, known.cipher, secret)
        self._phase = 0

    def update(self):
        self._aead = self._aead.successor()
        self._phase ^= 0x20

    def seal(self, number, *, cid=SERVER_CID, payload=PAYLOAD):
        header = encode_short_header(0x41 | self._phase, cid, number)
        sealed = self._aead.seal(header, number, payload)
        mask = self._mask.mask(sealed[:16])
        masked = bytes(a ^ b for a, b in zip(header[9:13], mask[1:5], strict=True))
        return bytes((header[0] ^ mask[0] & 0x20,)) + cid + masked + sealed
