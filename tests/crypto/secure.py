"""Keys and halves of encrypted handshakes for tests."""

import random

from udpim.crypto.noise.suites import X25519_DH
from udpim.crypto.secure_handshake import SecureClientHandshake, SecureServer
from udpim.crypto.security import ClientSecurity, ServerSecurity
from udpim.wire.parameters import PeerParameters

CLIENT_STATIC = X25519_DH.key_pair(bytes(range(1, 33)))
SERVER_STATIC = X25519_DH.key_pair(bytes(range(2, 34)))
OTHER_STATIC = X25519_DH.key_pair(bytes(range(3, 35)))
PSK = b"a secret that has thirty-2 bytes"
RESET_TOKEN = b"reset-token-0016"
CLIENT_CID = b"client-1"
SERVER_CID = b"server-1"
PATTERNS = ("XK", "XX", "XKpsk3", "XXpsk3")


def accept_all(_key):
    """As who trusts on first use."""
    return True


def client_security(pattern="XK", **options):
    """A client's configuration for a pattern."""
    known = {"server_key": SERVER_STATIC.public} if "XK" in pattern else {"accept_key": accept_all}
    psk = {"psk": PSK} if "psk" in pattern else {}
    return ClientSecurity(**{"static": CLIENT_STATIC, **known, **psk, **options})


def server_security(pattern="XK", **options):
    """The configuration of a server that takes it."""
    psk = {"psk": PSK} if "psk" in pattern else {}
    return ServerSecurity(**{"static": SERVER_STATIC, **psk, **options})


def client_half(pattern="XK", seed=1, **options):
    """A client's half, which has written its HELLO."""
    return SecureClientHandshake(
        client_security(pattern, **options),
        PeerParameters(idle_timeout_s=20.0),
        random.Random(seed).randbytes,
        CLIENT_CID,
    )


def server_half(pattern="XK", seed=2, **options):
    """A server that takes handshakes."""
    return SecureServer(server_security(pattern, **options), random.Random(seed).randbytes)


def server_parameters():
    """What a server says of itself."""
    return PeerParameters(frame_window=512, reset_token=RESET_TOKEN)
