"""How many encrypted handshakes a server begins: each costs DH, and HELLO costs its sender little.

An address that is not proven may be anybody's, so such clients share one bucket, and are asked for
a token when it is empty: nobody can use up what belongs to somebody else. Proven addresses have a
bucket each, in a table that forgets who has been quiet longest. Hosts of one IPv6 /64 count as one.

Specification: PROTOCOL §2.8.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import AddressValueError, IPv6Address

from udpim.hop.bucket import TokenBucket
from udpim.hop.config import HopConfig

ADDRESSES_MAX = 4096
"""Buckets kept; who comes back after so many others has a full one again."""

_PREFIX_BYTES = 8


class Admission:
    """Says which HELLOs go on to the DH."""

    def __init__(self, config: HopConfig) -> None:
        """All buckets are full."""
        self._config = config
        self._unproven = TokenBucket(config.hellos_per_s, config.hello_burst)
        self._proven: OrderedDict[bytes | str, TokenBucket] = OrderedDict()

    def admits_unproven(self, now: float) -> bool:
        """Whether one more handshake may begin with an address that is not proven; counts it."""
        return self._unproven.take(now)

    def admits(self, host: str, now: float) -> bool:
        """Whether one more may begin with this proven address; counts it."""
        buckets, name = self._proven, network(host)
        bucket = buckets.pop(name, None)
        if bucket is None:
            config = self._config
            bucket = TokenBucket(config.hellos_per_s_address, config.hello_burst_address)
            if len(buckets) >= ADDRESSES_MAX:
                buckets.popitem(last=False)
        buckets[name] = bucket
        return bucket.take(now)

    def __len__(self) -> int:
        """How many addresses have a bucket."""
        return len(self._proven)


def network(host: str) -> bytes | str:
    """What counts as one address: an IPv4 host, or the network of an IPv6 one."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host)
    except AddressValueError:
        return host
    mapped = address.ipv4_mapped
    return address.packed[:_PREFIX_BYTES] if mapped is None else str(mapped)
