"""Datagrams of strangers: garbage, first packets that the server must look at, and copies."""

from dataclasses import replace
from hashlib import blake2s

from tests.crypto.secure import SERVER_STATIC, client_security
from udpim.crypto.secure_handshake import SecureClientHandshake, mac_key
from udpim.hop.config import HopConfig
from udpim.wire.packet import CID_BYTES, DATAGRAM_BYTES_MAX, MAC_BYTES, encode_long, parse_long

ADDRESSES = 60_000
"""From which strangers seem to write."""
TRUE_HELLOS = 200
FIRST_BYTES = (0x01, 0x41, 0x61, 0x81, 0x89, 0x91, 0x99, 0xA1, 0xC1, 0xC2, 0xC9, 0xD1, 0xE1, 0xE9)
"""Short and long, in plaintext and not, of all types."""
MACS = {"XK": mac_key(SERVER_STATIC.public), "XX": mac_key(None)}
"""Who knows the server's public key knows these."""


def addresses():
    """All of them, each a host of its own."""
    return [
        (f"203.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1024 + n % 60_000) for n in range(ADDRESSES)
    ]


class Garbage:
    """What nobody who knows the server's key would send."""

    def __init__(self, rng, captured):
        """Make some of it from packets that crossed on their way to the server."""
        self._rng = rng
        self._captured = captured
        self._kinds = (self.noise, self.typed, self.flipped, self.cut, self.longer, self.tail)

    def __call__(self):
        return self._kinds[int(self._rng.random() * 6)]()

    def _any(self):
        return self._captured[int(self._rng.random() * len(self._captured))]

    def noise(self):
        """Random bytes, often few."""
        rng = self._rng
        return rng.randbytes(int(rng.random() ** 2 * (DATAGRAM_BYTES_MAX + 200)))

    def typed(self):
        """A first byte that means something, and random bytes as long as a HELLO."""
        rng = self._rng
        first = FIRST_BYTES[int(rng.random() * len(FIRST_BYTES))]
        return bytes((first,)) + rng.randbytes(200 + int(rng.random() * 200))

    def flipped(self):
        """A true packet with a bit flipped."""
        data = bytearray(self._any())
        at = int(self._rng.random() * 8 * len(data))
        data[at >> 3] ^= 1 << (at & 7)
        return bytes(data)

    def cut(self):
        """The beginning of one."""
        data = self._any()
        return data[: int(self._rng.random() * len(data))]

    def longer(self):
        """One with something behind it."""
        return self._any() + self._rng.randbytes(1 + int(self._rng.random() * 40))

    def tail(self):
        """The connection id of a live connection, or the head of a HELLO, and random bytes."""
        return self._any()[: 1 + CID_BYTES] + self._rng.randbytes(int(self._rng.random() * 300))


class FirstPackets:
    """HELLOs with a right mac: the server's public key is known to everybody."""

    def __init__(self, rng):
        self._rng = rng
        hop = HopConfig()
        self._true = []
        heads = {}
        for pattern in MACS:
            for _ in range(TRUE_HELLOS if pattern == "XK" else 1):
                security = client_security(pattern)
                cid = rng.randbytes(CID_BYTES)
                half = SecureClientHandshake(security, hop.parameters(), rng.randbytes, cid)
                heads[pattern] = half.hello
                if pattern == "XK":
                    self._true.append(half.hello)
        self._xk, self._xx = heads["XK"], heads["XX"]
        with_token = replace(parse_long(self._xk), token=bytes(24))
        self._with_token = encode_long(with_token)
        self.tokens = [bytes(24)]
        """Of RETRYs that went to honest clients."""
        self._kinds = (self.true, self.unread, self.unknown, self.stolen)

    def __call__(self):
        return self._kinds[int(self._rng.random() * 4)]()

    def true(self):
        """What an honest client would send, from an address that is not its own."""
        return self._true[int(self._rng.random() * TRUE_HELLOS)]

    def unread(self):
        """A message that cannot be read, which only the DH would show."""
        rng, head = self._rng, self._xk
        noise = rng.randbytes(int.from_bytes(head[20:22], "big"))
        return _with_mac("XK", head[:9] + rng.randbytes(8) + head[17:22] + noise, head)

    def unknown(self):
        """Of a client that does not know the key: message 1 is in the clear, anybody writes it."""
        rng, head = self._rng, self._xx
        return _with_mac("XX", head[:9] + rng.randbytes(8) + head[17:22] + rng.randbytes(32), head)

    def stolen(self):
        """With a token that went to another address, or that nobody has issued."""
        rng, head = self._rng, self._with_token
        token = self.tokens[int(rng.random() * len(self.tokens))]
        return _with_mac("XK", head[:9] + rng.randbytes(8) + head[17:20] + token, head)

    def seen(self, datagram):
        """A packet to an honest client, which this stranger can read."""
        if datagram[0] == 0xC9 and len(self.tokens) < 1000:
            self.tokens.append(parse_long(datagram).token)


def _with_mac(pattern, head, whole):
    """A HELLO that begins so and goes on as another one, with the mac of its pattern."""
    body = head + whole[len(head) : -MAC_BYTES]
    return body + blake2s(body, key=MACS[pattern], digest_size=MAC_BYTES).digest()
