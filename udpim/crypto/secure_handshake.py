"""The encrypted handshake: three Noise messages in HELLO, WELCOME and FINISH, and macs before them.

The client has its keys after WELCOME, so data leaves with FINISH, one round trip after HELLO. The
mac of a HELLO is keyed by the server's public key: who does not know it meets silence, and costs
the server one hash. What stands in the clear in HELLO is the prologue, so both sides have seen the
same version, pattern, suite, connection id and token, or have different keys.

A message that cannot be read changes nothing: the true one may still come.

Specification: PROTOCOL §2.8; Noise revision 34.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2s

from udpim.crypto.handshake import ClientHandshake, ClientSide, HandshakeResult, Refused, acceptable
from udpim.crypto.key_log import ConnectionSecrets
from udpim.crypto.noise.errors import NoiseError
from udpim.crypto.noise.handshake_state import HandshakeState, TransportKeys
from udpim.crypto.packet_keys import packet_keys
from udpim.crypto.security import (
    PATTERNS,
    SUITES,
    XK,
    XK_PSK,
    ClientSecurity,
    Plain,
    ServerSecurity,
)
from udpim.wire.packet import (
    MAC_BYTES,
    NO_CID,
    Finish,
    LongPacket,
    SecureHello,
    SecureRetry,
    SecureWelcome,
    encode_long,
)
from udpim.wire.parameters import NONCE_BYTES, PeerParameters, encode_parameters

PROLOGUE_LABEL = b"udpim handshake 1"
HELLO_LABEL = b"udpim hello 1"

KEY_REFUSED = "the server's key is not accepted"
PARAMETERS_REFUSED = "the server's parameters are not acceptable"


def client_side(
    security: Plain | ClientSecurity,
    params: PeerParameters,
    random_bytes: Callable[[int], bytes],
    cid: bytes,
) -> ClientSide:
    """A client's half of the handshake that its configuration asks for."""
    if isinstance(security, Plain):
        return ClientHandshake(params, random_bytes, cid)
    return SecureClientHandshake(security, params, random_bytes, cid)


class SecureClientHandshake:
    """The client's half: one HELLO, then one WELCOME, which leaves a FINISH to be sent."""

    def __init__(
        self,
        security: ClientSecurity,
        params: PeerParameters,
        random_bytes: Callable[[int], bytes],
        cid: bytes,
        token: bytes = b"",
    ) -> None:
        """Write the HELLO; ``cid`` is what the server shall send to, ``token`` that of a RETRY."""
        self._security = security
        self._params = replace(params, nonce=random_bytes(NONCE_BYTES), reset_token=None)
        self._random_bytes = random_bytes
        self._cid = cid
        self._mac_key = mac_key(security.server_key)
        self._welcome: bytes | None = None
        self._peer: PeerParameters | None = None
        hello = SecureHello(
            source_cid=cid,
            pattern=security.pattern,
            suite=security.suite,
            token=token,
            payload=b"",
        )
        self._state = HandshakeState(
            PATTERNS[security.pattern],
            SUITES[security.suite],
            random_bytes,
            initiator=True,
            prologue=_prologue(hello, encode_long(hello)),
            static=security.static,
            remote_static=security.server_key,
            psks=security.psks,
        )
        message = self._state.write_message(encode_parameters(self._params))
        self.hello = _with_mac(self._mac_key, encode_long(replace(hello, payload=message)))
        """The datagram, the same each time."""

    def retried(self, packet: LongPacket) -> SecureClientHandshake | None:
        """Another handshake with the token; None if the server has not answered this one.

        The token is in the prologue, so everything is drawn anew: two different messages under one
        ephemeral key would be two under one nonce.
        """
        if not isinstance(packet, SecureRetry):
            return None
        expected = _retry_mac(self._mac_key, self.hello[-MAC_BYTES:], packet)
        if not hmac.compare_digest(expected, packet.mac):
            return None
        return SecureClientHandshake(
            self._security, self._params, self._random_bytes, self._cid, packet.token
        )

    def receive_welcome(self, packet: LongPacket) -> HandshakeResult | Refused | None:
        """The result, with the FINISH in it; None if this packet does not answer our HELLO."""
        if not isinstance(packet, SecureWelcome) or not self._read(packet.payload):
            return None
        peer, server_key = self._peer, self._state.remote_static
        if peer is None or peer.nonce != self._params.nonce or peer.reset_token is None:
            return Refused(reason=PARAMETERS_REFUSED)
        if peer.connection_id != packet.source_cid:
            return None  # changed on the way; the message itself comes again
        accept = self._security.accept_key
        if accept is not None and (server_key is None or not accept(server_key)):
            return Refused(reason=KEY_REFUSED)
        finish = Finish(
            destination_cid=packet.source_cid,
            source_cid=self._cid,
            payload=self._state.write_message(),
        )
        keys = self._state.split()
        secrets = ConnectionSecrets(
            suite=self._security.suite,
            client_cid=self._cid,
            server_cid=packet.source_cid,
            to_client=keys.receive,
            to_server=keys.send,
        )
        return _result(self._state, keys, peer, secrets, encode_long(finish))

    def _read(self, message: bytes) -> bool:
        """Whether this is the server's message, now or once more."""
        if self._welcome is None:
            try:
                payload = self._state.read_message(message)
            except NoiseError:
                return False
            self._welcome, self._peer = message, acceptable(payload)
        return self._welcome == message and self._state.may_write


class SecureServer:
    """The server's half: what all handshakes have in common."""

    def __init__(self, security: ServerSecurity, random_bytes: Callable[[int], bytes]) -> None:
        """Take handshakes as the configuration says."""
        self._security = security
        self._random_bytes = random_bytes
        pinned, unknown = mac_key(security.static.public), mac_key(None)
        self._mac_keys = {
            pattern: pinned if pattern in (XK, XK_PSK) else unknown for pattern in security.patterns
        }

    def refusal(self, hello: SecureHello, datagram: bytes) -> str | None:
        """Why this HELLO meets silence; None if it was made for this server. Costs one hash."""
        key = self._mac_keys.get(hello.pattern)
        if key is None or hello.suite not in self._security.suites:
            return "HELLO of a pattern or suite that is not offered"
        if not hmac.compare_digest(_mac(key, datagram[:-MAC_BYTES]), hello.mac):
            return "HELLO has a wrong mac"
        return None

    def is_meant(self, datagram: bytes) -> bool:
        """Whether a datagram of whatever version ends with a mac that was made for this server."""
        body, mac = datagram[:-MAC_BYTES], datagram[-MAC_BYTES:]
        keys = set(self._mac_keys.values())
        return any([hmac.compare_digest(_mac(key, body), mac) for key in keys])

    def retry(self, hello: SecureHello, token: bytes) -> bytes:
        """The RETRY that answers this HELLO, which :meth:`refusal` has let through."""
        packet = SecureRetry(destination_cid=hello.source_cid, source_cid=NO_CID, token=token)
        mac = _retry_mac(self._mac_keys[hello.pattern], hello.mac, packet)
        return encode_long(replace(packet, mac=mac))

    def accept(
        self, hello: SecureHello, datagram: bytes, params: PeerParameters, cid: bytes
    ) -> ServerHandshake | None:
        """Read the client's first message and write the server's; this is where the DH is.

        Args:
            hello: What :meth:`refusal` has let through.
            datagram: The same as bytes.
            params: The server's parameters, with the reset token of ``cid``.
            cid: The id that the client shall send to.

        Returns:
            The handshake that waits for FINISH; None if the HELLO cannot be accepted.
        """
        state = HandshakeState(
            PATTERNS[hello.pattern],
            SUITES[hello.suite],
            self._random_bytes,
            initiator=False,
            prologue=_prologue(hello, datagram),
            static=self._security.static,
            psks=self._security.psks,
        )
        try:
            peer = acceptable(state.read_message(hello.payload))
            if peer is None:
                return None
            answer = replace(params, nonce=peer.nonce, connection_id=cid)
            message = state.write_message(encode_parameters(answer))
        except NoiseError:
            return None
        welcome = SecureWelcome(destination_cid=hello.source_cid, source_cid=cid, payload=message)
        return ServerHandshake(hello, state, peer, welcome)


class ServerHandshake:
    """One handshake of a server, between WELCOME and FINISH."""

    __slots__ = ("_cid", "_client_cid", "_peer", "_state", "_suite", "welcome")

    def __init__(
        self,
        hello: SecureHello,
        state: HandshakeState,
        peer: PeerParameters,
        welcome: SecureWelcome,
    ) -> None:
        """Wait for the third message."""
        self.welcome = encode_long(welcome)
        """The datagram, the same each time."""
        self._client_cid = hello.source_cid
        self._cid = welcome.source_cid
        self._suite = hello.suite
        self._state = state
        self._peer = peer

    def receive_finish(self, packet: Finish) -> HandshakeResult | None:
        """The result; None if this is not the client's last message, which may still come."""
        if packet.source_cid != self._client_cid or not self._state.may_read:
            return None
        try:
            payload = self._state.read_message(packet.payload)
        except NoiseError:
            return None
        if payload:
            return None
        keys = self._state.split()
        secrets = ConnectionSecrets(
            suite=self._suite,
            client_cid=self._client_cid,
            server_cid=self._cid,
            to_client=keys.send,
            to_server=keys.receive,
        )
        return _result(self._state, keys, self._peer, secrets)


def mac_key(server_key: bytes | None) -> bytes:
    """What keys the macs of HELLO and RETRY; without a server's key anybody knows it."""
    return blake2s(HELLO_LABEL + (server_key or b"")).digest()


def _mac(key: bytes, data: bytes) -> bytes:
    return blake2s(data, key=key, digest_size=MAC_BYTES).digest()


def _with_mac(key: bytes, datagram: bytes) -> bytes:
    body = datagram[:-MAC_BYTES]
    return body + _mac(key, body)


def _retry_mac(key: bytes, hello_mac: bytes, packet: SecureRetry) -> bytes:
    return _mac(key, hello_mac + encode_long(packet)[:-MAC_BYTES])


def _prologue(hello: SecureHello, datagram: bytes) -> bytes:
    return PROLOGUE_LABEL + datagram[: hello.clear_bytes]


def _result(
    state: HandshakeState,
    keys: TransportKeys,
    peer: PeerParameters,
    secrets: ConnectionSecrets,
    finish: bytes = b"",
) -> HandshakeResult:
    return HandshakeResult(
        peer=peer,
        keys=packet_keys(SUITES[secrets.suite].hash, keys),
        peer_static=state.remote_static,
        channel_binding=state.handshake_hash,
        finish=finish,
        secrets=secrets,
    )
