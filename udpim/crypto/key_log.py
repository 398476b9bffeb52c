"""The secrets of a connection in words, for whoever has to read a capture of it.

A connection tells them to nobody unless `udpim.hop.config.HopConfig` names a key log. One line of
text stands for one connection; `udpim.crypto.packet_opener` reads packets with it.

Format: PROTOCOL §2.9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from udpim.crypto.noise.suites import KEY_BYTES
from udpim.crypto.security import SUITES
from udpim.errors import DecodeError
from udpim.wire.packet import CID_BYTES

LINE_LABEL = "udpim-1"
"""What a line begins with; the number is that of the format."""
COMMENT = "#"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSecrets:
    """What opens all packets of one connection, from the first to the last."""

    suite: int
    """One of `udpim.crypto.security.SUITES`."""
    client_cid: bytes
    """The connection id in packets to the client, as the handshake has agreed on it."""
    server_cid: bytes
    """That in packets to the server."""
    to_client: bytes = field(repr=False)
    """What the keys of packets to the client are drawn from."""
    to_server: bytes = field(repr=False)
    """What those of packets to the server are drawn from."""


KeyLog = Callable[[ConnectionSecrets], None]
"""Is told the secrets of each connection when it opens, before its first packet leaves."""


def to_line(secrets: ConnectionSecrets) -> str:
    """One line of a key log, without its end."""
    parts = (secrets.client_cid, secrets.server_cid, secrets.to_client, secrets.to_server)
    return " ".join((LINE_LABEL, str(secrets.suite), *(part.hex() for part in parts)))


def parse_line(line: str) -> ConnectionSecrets | None:
    """Read a line; None if it is empty or a comment.

    Raises:
        DecodeError: If it is neither that nor the secrets of a connection. The message does not
            repeat it.
    """
    words = line.split()
    if not words or words[0].startswith(COMMENT):
        return None
    try:
        label, suite, *parts = words
        client_cid, server_cid, to_client, to_server = map(bytes.fromhex, parts)
        secrets = ConnectionSecrets(
            suite=int(suite),
            client_cid=client_cid,
            server_cid=server_cid,
            to_client=to_client,
            to_server=to_server,
        )
    except ValueError:
        raise DecodeError("no line of a key log") from None
    sizes = [len(part) for part in (client_cid, server_cid, to_client, to_server)]
    right = [CID_BYTES, CID_BYTES, KEY_BYTES, KEY_BYTES]
    if label != LINE_LABEL or secrets.suite not in SUITES or sizes != right:
        raise DecodeError("no line of a key log")
    return secrets
