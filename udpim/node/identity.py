"""Who a client's store says it is: endpoint, incarnation, count of logins (PROTOCOL §4.2, §5.8).

Read from the store's meta values when the client node starts; what changes leaves as operations of
the node's next commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from udpim.config import ClientConfig
from udpim.errors import ConfigError
from udpim.im.rebirth import MARK
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
        self.login_count = int.from_bytes(meta.get(MARK, b""), "big")
        """Rises durably with every login, and with every message before it may leave."""
        self.known = False
        """The server has let this process in."""
        self._stamped = 0
        """The highest stamp so far."""
        self.incarnation = int.from_bytes(meta.get("incarnation", b""), "big")
        if "incarnation" not in meta:
            self._ops.append(PutMeta("endpoint", endpoint))
            self._raise(0)
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

    def reached(self, stamp: int) -> None:
        """A message was stamped: once messages may leave, the mark is not below (PROTOCOL §5.8).

        It becomes durable with the message's row, so before the server can see the stamp. Until the
        server has let this process in, nothing leaves, and the mark stays as it is: so a login that
        follows, after a crash too, shows an old copy for what it is.
        """
        self._stamped = max(self._stamped, stamp)
        if self.known and stamp > self.login_count:
            self._raise(stamp)

    def _raise(self, mark: int) -> None:
        self.login_count = mark
        self._ops.append(PutMeta(MARK, mark.to_bytes(8, "big")))

    def next_login(self, *, continues: bool = False) -> Login:
        """Raise the mark for a login; the packet may leave once that is durable.

        An old copy's is below what the server has seen.
        """
        count = self.login_count + 1
        self._raise(count)
        config = self._config
        who = (config.user, config.device, config.token)
        return Login(*who, self.incarnation, count, continues, config.exchange == "four")

    def let_in(self) -> bool:
        """The server knows this store as the newest.

        Returns:
            Whether messages have to wait until the mark is durable that covers their stamps.
        """
        self.known = True
        before = self.login_count
        self.reached(self._stamped)
        return self.login_count > before

    def take_ops(self) -> list[Op]:
        """Return the operations since the last call."""
        ops, self._ops = self._ops, []
        return ops
