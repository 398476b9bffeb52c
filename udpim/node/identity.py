"""Who a client's store says it is: endpoint, incarnation, count of logins (PROTOCOL §4.2, §5.8).

Read from the store's meta values when the client node starts; what changes leaves as operations of
the node's next commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from udpim.config import ClientConfig
from udpim.errors import ConfigError
from udpim.im.records import Op, PutMeta
from udpim.wire.im_packets import Login


class Identity:
    """The identity of one device's store."""

    def __init__(
        self,
        config: ClientConfig,
        meta: Mapping[str, bytes],
        *,
        durable: bool,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Read it, or begin a new one.

        Raises:
            ConfigError: If the store belongs to another endpoint.
        """
        self._config = config
        self._durable = durable
        self._random_bytes = random_bytes
        self._ops: list[Op] = []
        endpoint = f"{config.user}\n{config.device}".encode()
        owner = meta.get("endpoint", endpoint)
        if owner != endpoint:
            user, _, device = owner.decode().partition("\n")
            raise ConfigError(
                f"the store belongs to {user}/{device}, not to {config.user}/{config.device}"
            )
        self._login_count = int.from_bytes(meta.get("login_count", b""), "big")
        self.incarnation = int.from_bytes(meta.get("incarnation", b""), "big")
        if "incarnation" not in meta:
            self._ops.append(PutMeta("endpoint", endpoint))
            self.renew()

    def renew(self) -> int:
        """Draw an incarnation: 63 random bits, the highest one says whether the inbox is durable.

        Returns:
            The new incarnation.
        """
        drawn = int.from_bytes(self._random_bytes(8), "big") >> 1
        self.incarnation = drawn | (self._durable << 63)
        self._ops.append(PutMeta("incarnation", self.incarnation.to_bytes(8, "big")))
        return self.incarnation

    def next_login(self) -> Login:
        """Count a login; the packet may leave once the count is durable."""
        self._login_count += 1
        count = self._login_count
        self._ops.append(PutMeta("login_count", count.to_bytes(8, "big")))
        config = self._config
        return Login(config.user, config.device, config.token, self.incarnation, count)

    def take_ops(self) -> list[Op]:
        """Return the operations since the last call."""
        ops, self._ops = self._ops, []
        return ops
