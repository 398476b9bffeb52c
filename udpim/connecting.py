"""How a client comes to be: check the arguments, open the store, dial, log in."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Generator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Literal, get_args

from udpim.client import Client
from udpim.config import ClientConfig, Exchange, Limits
from udpim.errors import ConfigError, ConnectTimeout, HandshakeFailed
from udpim.hop.codes import CloseCode
from udpim.hop.config import HopConfig
from udpim.model import Address
from udpim.runtime.endpoint import format_address, resolve
from udpim.runtime.keys import load_with_key
from udpim.runtime.settings import (
    ClientSettings,
    StoreChoice,
    check_name,
    check_secrets,
    check_token,
    check_trust,
    check_user,
    close_store,
    open_store,
    parse_addresses,
)

LEARNT_IDLE_S = 180.0
"""Idle timeout that a client which learns asks for; the server's, if lower, is what counts."""
Keepalive = Literal["fixed", "learn"]

_DEFAULTS = ClientConfig(user="anybody", device="main")


def connect(
    address: str,
    *,
    user: str,
    device: str = "main",
    token: str = "",
    server_key: str | None = None,
    known_hosts: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
    psk: str | os.PathLike[str] | None = None,
    store: StoreChoice = None,
    security: str = "require",
    connect_timeout: float = 10.0,
    close_timeout: float = 5.0,
    limits: Limits | None = None,
    reconnect_s_max: float = _DEFAULTS.reconnect_s_max,
    exchange: Exchange = "six",
    keepalive: Keepalive = "fixed",
    hop: HopConfig | None = None,
) -> Connecting:
    """Log in at a server: ``async with udpim.connect(…) as client``, or ``client = await …``.

    Args:
        address: ``udpim://host:port``; the port is 9000 where it is left out. Several, with commas
            between them, are tried in turn after a loss: the processes of a cluster.
        user: Who logs in.
        device: On which of their devices; a second login of the same device replaces the first.
        token: What the server's ``authenticate`` hook wants to see.
        server_key: The server's public key, as `udpim serve` tells it: no other server will do.
        known_hosts: Without that, a file that keeps the key of the first contact, and from then on
            another one raises `ServerKeyChanged`. None: ``~/.config/udpim/known_hosts``.
        key: File of this device's private key, made by `udpim keygen`; None: its store keeps one.
        psk: File of a secret that the server shares, made by `udpim keygen --psk`.
        store: File of the outbox and the inbox, a store that the caller owns, or None for memory:
            then what is unsettled or unhandled dies with the process.
        security: "require" for encryption, or "plain" for none: both sides have to say the same.
        connect_timeout: How long the first login may take, seconds.
        close_timeout: How long `Client.close` may drain, seconds.
        limits: How much this client may hold: outbox, inbox, payload, connection.
        reconnect_s_max: Longest pause between two attempts to reconnect, seconds.
        exchange: "six" packets, or "four": the first that a sender hears is STORED or DELIVERED.
        keepalive: PING every 10 s ("fixed"), or as rarely as the NATs on the way allow ("learn").
        hop: Times of the connection.

    Raises:
        ConfigError: If an argument is wrong. What else goes wrong is raised when the result is
            awaited or entered: ConnectTimeout, ConnectError, LoginError, StoreError.
    """
    trust = check_trust(security, server_key, known_hosts)
    _check_times(connect_timeout, close_timeout, reconnect_s_max)
    config = ClientConfig(
        user=check_user(user),
        device=check_name("device", device),
        token=check_token(token),
        exchange=_check_exchange(exchange),
        limits=limits or Limits(),
        reconnect_s_min=min(_DEFAULTS.reconnect_s_min, reconnect_s_max),
        reconnect_s_max=reconnect_s_max,
    )
    settings = ClientSettings(
        config=config,
        addresses=parse_addresses(address),
        store=store,
        trust=trust,
        secrets=check_secrets(trust.security, key, psk),
        connect_timeout_s=connect_timeout,
        close_timeout_s=close_timeout,
        hop=_check_keepalive(keepalive, hop),
    )
    return Connecting(settings)


def _check_times(connect_timeout: float, close_timeout: float, reconnect_s_max: float) -> None:
    if connect_timeout <= 0 or close_timeout < 0:
        raise ConfigError("timeouts must not be negative, and connect_timeout not zero")
    if reconnect_s_max <= 0:
        raise ConfigError("reconnect_s_max must be positive")


def _check_exchange(exchange: Exchange) -> Exchange:
    if exchange not in get_args(Exchange):
        raise ConfigError(f'exchange is "six" or "four", not {exchange!r}')
    return exchange


def _check_keepalive(keepalive: Keepalive, hop: HopConfig | None) -> HopConfig | None:
    if keepalive not in get_args(Keepalive):
        raise ConfigError(f'keepalive is "fixed" or "learn", not {keepalive!r}')
    if keepalive == "fixed":
        return hop
    return replace(hop or HopConfig(idle_timeout_s=LEARNT_IDLE_S), learn_keepalive=True)


class Connecting:
    """What `connect` returns: await it, or enter it."""

    def __init__(self, settings: ClientSettings) -> None:
        """Made by `connect`."""
        self._settings = settings
        self._client: Client | None = None

    def __await__(self) -> Generator[object, None, Client]:
        """Log in and return the client."""
        return _open(self._settings).__await__()

    async def __aenter__(self) -> Client:
        """Log in and return the client."""
        self._client = await _open(self._settings)
        return self._client

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client, see `Client.close`."""
        assert self._client is not None, "entered before"
        await self._client.close()


async def _open(settings: ClientSettings) -> Client:
    wait_s = settings.connect_timeout_s
    try:
        async with asyncio.timeout(wait_s):
            family, where = await _resolve_all(settings.addresses)
    except TimeoutError:
        raise ConnectTimeout(_names(settings), wait_s) from None
    store = await open_store(settings.store, "client")
    client = None
    try:
        snapshot, key = await asyncio.to_thread(
            load_with_key,
            store,
            store.load_client,
            settings.secrets.key,
            encrypted=settings.secrets.security == "require",
        )
        client = Client(settings, store, snapshot, key)
        await _log_in(client, family, where, settings)
    except BaseException:
        if client is None:
            await close_store(store, settings.store)
        else:
            await client.close(0)
        raise
    return client


async def _resolve_all(
    addresses: Sequence[tuple[str, int]],
) -> tuple[socket.AddressFamily, list[Address]]:
    """Find all addresses; one socket serves them, so they must be of one family."""
    found = [await resolve(host, port) for host, port in addresses]
    family = found[0][0]
    if any(other != family for other, _ in found):
        raise ConfigError("some of the server's addresses are IPv4 and some are IPv6; take one")
    return family, [where for _, where in found]


def _names(settings: ClientSettings) -> str:
    return ",".join(map(format_address, settings.addresses))


async def _log_in(
    client: Client, family: socket.AddressFamily, where: list[Address], settings: ClientSettings
) -> None:
    wait_s = settings.connect_timeout_s
    try:
        async with asyncio.timeout(wait_s):
            await client.start(family, *where)
    except TimeoutError:
        address = _names(settings)
        loss = client.last_loss
        if loss is None or loss.code == CloseCode.DEAD:
            raise ConnectTimeout(address, wait_s) from None
        words = f"{address} answered, but gave no login within {wait_s:g} s: {loss.reason}"
        raise HandshakeFailed(words) from None
