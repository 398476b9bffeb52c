"""The sockets of a client: the one that it talks through, and a spare one to measure NATs with.

Between the client and the operating system: opens endpoints, and tells node and driver which one
datagrams take. A client may move to another socket while it is connected (PROTOCOL §3.5), and has
a second one open while it learns how long a NAT keeps a binding (PROTOCOL §3.11).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Coroutine

from udpim.errors import Error
from udpim.model import Address
from udpim.node.client import ClientNode
from udpim.runtime.driver import Driver
from udpim.runtime.endpoint import open_endpoint
from udpim.runtime.endpoint_base import Burst, DatagramEndpoint, OnBurst, OnLost

logger = logging.getLogger("udpim")


class ClientSockets:
    """What a client's driver sends and receives through."""

    def __init__(self, node: ClientNode, driver: Driver) -> None:
        """Connect nothing yet."""
        self._node = node
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._family = socket.AF_INET
        self._host: str | None = None
        self._endpoint: DatagramEndpoint | None = None
        self._spare: DatagramEndpoint | None = None
        self._change: asyncio.Task[None] | None = None

    async def open(self, family: socket.AddressFamily) -> None:
        """Open the first socket; the driver sends from now on."""
        self._family = family
        self._endpoint = await self._new(self._driver.receive)
        self._driver.attach(self._endpoint)

    async def move(self, local_host: str | None) -> None:
        """Go on from another socket, and close the present one.

        Args:
            local_host: Which address of this machine to go on from; None for any.

        Raises:
            ConnectError: If the address is not one of this machine; the present socket stays.
        """
        if self._change is not None:
            await self._change
        host, self._host = self._host, local_host
        try:
            endpoint = await self._new(self._driver.receive)
        except Error:
            self._host = host
            raise
        if self._driver.stopped:
            await endpoint.close()
            return
        before, self._endpoint = self._endpoint, endpoint
        await self._close_spare()
        self._node.rebound(self._loop.time())
        self._driver.attach(endpoint)
        if before is not None:
            await before.close()

    @property
    def address(self) -> Address:
        """Where the present socket is bound."""
        assert self._endpoint is not None, "open() comes first"
        return self._endpoint.address

    async def close(self) -> None:
        """Close what is open."""
        if self._change is not None:
            await self._change
        await self._close_spare()
        if self._endpoint is not None:
            await self._endpoint.close()

    # --- The spare one ---

    def turn(self) -> None:
        """Before each pass of the driver: open or close the spare socket, and send through it."""
        port = self._node.spare_port
        if port.wanted is not (self._spare is not None):
            if self._change is None:
                change = self._open_spare() if port.wanted else self._close_spare()
                self._change = self._loop.create_task(self._do(change))
        elif self._spare is not None:
            datagrams = port.datagrams_to_send(self._loop.time())
            if datagrams:
                self._spare.send(datagrams)

    async def _do(self, change: Coroutine[None, None, None]) -> None:
        try:
            await change
        except Error as error:
            self._node.spare_port.offline()
            logger.warning("no spare port to measure the NAT with: %s", error)
        finally:
            self._change = None
            self._driver.wake()

    async def _open_spare(self) -> None:
        self._spare = await self._new(self._receive_spare, self._lose_spare)

    def _lose_spare(self, error: Exception) -> None:
        """The client does without."""
        logger.warning("the spare port is lost: %s", error)
        self._node.spare_port.offline()

    async def _close_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.close()

    def _receive_spare(self, burst: Burst) -> None:
        if not self._driver.stopped:
            self._node.spare_port.receive_datagrams(burst, self._loop.time())
            self._driver.wake()

    async def _new(self, on_burst: OnBurst, on_lost: OnLost | None = None) -> DatagramEndpoint:
        return await open_endpoint(
            self._family,
            None if self._host is None else (self._host, 0),
            on_burst=on_burst,
            on_lost=on_lost or self._driver.fail,
        )
