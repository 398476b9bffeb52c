"""UDP on asyncio's own transport, and the choice between it and the Linux endpoint.

Stands between the operating system and the driver: ``socket → burst → driver → node`` and
``node → driver → send → socket``.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from udpim.errors import ConfigError, ConnectError
from udpim.model import Address
from udpim.runtime.endpoint_base import (
    BURST_DATAGRAMS_MAX,
    Burst,
    DatagramEndpoint,
    OnBurst,
    OnLost,
)
from udpim.runtime.linux_endpoint import LinuxEndpoint

ENDPOINT_VARIABLE = "UDPIM_ENDPOINT"
"""Environment variable that forces a kind of endpoint: ``linux`` or ``portable``."""
READ_BYTES_MAX = 2048
"""What one read makes room for: beyond the largest datagram we take (1200 bytes), so that a longer
one fails its checksum and is counted. The stock transport allocates 256 KiB for each datagram."""
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024
"""Asked of the kernel for each direction; Linux grants what net.core.*mem_max allows."""


class PortableEndpoint(DatagramEndpoint, asyncio.DatagramProtocol):
    """One UDP socket behind asyncio's transport."""

    kind = "portable"

    def __init__(self, sock: socket.socket, on_burst: OnBurst, on_lost: OnLost) -> None:
        """See `open_endpoint`."""
        super().__init__(sock, on_burst, on_lost)
        self._transport: asyncio.DatagramTransport | None = None
        self._paused = False
        self._closed = asyncio.get_running_loop().create_future()

    # --- Called by the transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the transport up."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        # Nothing in asyncio's own buffer, which has no limit: the queue here has one.
        transport.set_write_buffer_limits(high=0)  # type: ignore[attr-defined]  # not in the stubs
        with suppress(AttributeError):  # other loops read in their own way
            transport.max_size = READ_BYTES_MAX  # type: ignore[attr-defined]  # nor is this

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Take what else is there: asyncio reads only one datagram in a turn."""
        burst: Burst = [(data, addr[:2])]
        receive = self._socket.recvfrom
        try:
            while len(burst) < BURST_DATAGRAMS_MAX:
                data, addr = receive(READ_BYTES_MAX)
                burst.append((data, addr[:2]))
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self.error_received(error)
        self._received += len(burst)
        self._bursts += 1
        self._on_burst(burst)

    def pause_writing(self) -> None:
        """The kernel has no room."""
        self._stalls += 1
        self._paused = True

    def resume_writing(self) -> None:
        """The kernel has room again."""
        self._paused = False
        while self._waiting and not self._paused:
            self._send_one(*self._waiting.popleft())

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed; with an error where asyncio gave up on it."""
        self._closed.set_result(None)
        if exc is not None:
            self._on_lost(exc)

    # --- Called by the driver ---

    def send(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Send a burst; what the kernel has no room for waits here, up to the limit."""
        for index, (data, address) in enumerate(datagrams):
            if self._paused:
                self._enqueue(datagrams[index:])
                break
            self._send_one(data, address)

    def _send_one(self, data: bytes, address: Address) -> None:
        transport = self._transport
        assert transport is not None, "open_endpoint waits for it"
        if transport.is_closing():
            self._drop("endpoint closed")
            return
        self._sent += 1
        transport.sendto(data, address)

    async def close(self) -> None:
        """Close the socket, after what waits in the kernel's and asyncio's hands has left."""
        assert self._transport is not None, "open_endpoint waits for it"
        self._transport.close()
        await self._closed


async def resolve(host: str, port: int) -> tuple[socket.AddressFamily, Address]:
    """Find the address of a host, IPv4 before IPv6.

    Over UDP nobody says that nobody listens, so there is no second choice to fall back to; most
    names with both kinds belong to servers that have IPv4.

    Raises:
        ConnectError: If the name is unknown.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        words = error.strerror if isinstance(error, OSError) else None
        raise ConnectError(f"unknown host {host}: {words or error}") from error
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    family, _, _, _, sockaddr = found[0]
    return family, (str(sockaddr[0]), int(sockaddr[1]))


def _bound_socket(family: socket.AddressFamily, address: Address) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _chosen(kind: str | None) -> str:
    """Return the kind to open: what was asked for, or the best one here."""
    kind = kind or os.environ.get(ENDPOINT_VARIABLE) or None
    if kind not in (None, "linux", "portable"):
        raise ConfigError(f"{kind!r} is no endpoint; take linux or portable")
    return kind or ("linux" if sys.platform == "linux" else "portable")


async def open_endpoint(
    family: socket.AddressFamily,
    address: Address | None,
    *,
    on_burst: OnBurst,
    on_lost: OnLost,
    kind: str | None = None,
) -> DatagramEndpoint:
    """Open a UDP socket.

    Args:
        family: IPv4 or IPv6.
        address: Where to listen; None for any free port.
        on_burst: Takes what arrived in one turn of the loop.
        on_lost: Called if the event loop gives up on the socket.
        kind: "linux" or "portable"; None for what `ENDPOINT_VARIABLE` says, else the best one.

    Raises:
        ConfigError: If the port is taken, or may not be used, or there is no such kind.
        ConnectError: If the address is not one of this machine.
    """
    kind = _chosen(kind)
    local = address or ("::" if family == socket.AF_INET6 else "0.0.0.0", 0)
    try:
        sock = _bound_socket(family, local)
    except OSError as error:
        raise _explain(local, error) from error
    loop = asyncio.get_running_loop()
    try:
        if kind == "linux":
            with suppress(NotImplementedError):  # a loop without add_reader
                return LinuxEndpoint(sock, on_burst, on_lost)
        _, endpoint = await loop.create_datagram_endpoint(
            lambda: PortableEndpoint(sock, on_burst, on_lost), sock=sock
        )
    except BaseException:
        sock.close()
        raise
    return endpoint


def format_address(address: Address) -> str:
    """Return ``host:port``, with brackets around IPv6."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _explain(address: Address, error: OSError) -> ConfigError | ConnectError:
    """Say in one sentence why a port could not be opened; the cause keeps the errno."""
    where = format_address(address)
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"port in use: somebody listens on {where} already")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigError(f"not allowed to listen on {where}: take a port above 1023")
    if error.errno == errno.EADDRNOTAVAIL:
        return ConnectError(f"cannot listen on {where}: this machine has no such address")
    return ConnectError(f"cannot open {where}: {error.strerror or error}")
