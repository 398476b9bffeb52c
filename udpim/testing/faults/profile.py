"""What one direction of a link does to its datagrams, as one value.

::

    Loss.burst(0.1, mean_burst=3).delay("40ms", jitter="10ms").duplicate(0.02)

Each method returns a new `Profile` with one thing more. `udpim.testing.faults.pipe` does it, in
this order: MTU, loss, outage, corruption, truncation, copies, rate and queue, delay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from udpim.errors import ConfigError
from udpim.testing.faults import quantities as q

Duration = str | float
"""``"40ms"``, or seconds."""
Shape = Literal["log-uniform", "exponential"]
"""How the lengths of outages are spread; see `Profile.outage_shape`."""

SHAPES: tuple[Shape, ...] = ("log-uniform", "exponential")
MTU_BYTES_MIN = 68
"""RFC 791 §3.2: what every module must be able to forward."""
MTU_BYTES_MAX = 65_535
QUEUE_PACKETS_MAX = 1_000_000
BURST_PACKETS_MAX = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The faults of one direction, and its delay; nothing is wrong with it by default.

    Durations are seconds, or words like ``"40ms"``; they are seconds once it is made.

    Raises:
        ConfigError: If a value is wrong; names the field and what is allowed.
    """

    loss_ratio: float = 0.0
    """Share that is lost."""
    loss_burst_packets: float | None = None
    """How many are lost in a row, in the mean; None: each for itself.

    The model of Gilbert and Elliott, counted in datagrams: a chain of two states, good and bad.
    """
    outage_ratio: float = 0.0
    """Share of the time in which nothing passes, whether or not anything is sent."""
    outage_mean_s: float = 2.0
    """How long an outage is, in the mean."""
    outage_shape: Shape = "log-uniform"
    """``log-uniform``: many short outages and a few long ones; or ``exponential``."""
    corrupt_ratio: float = 0.0
    """Share in which one bit is flipped."""
    truncate_ratio: float = 0.0
    """Share of which the end is missing."""
    duplicate_ratio: float = 0.0
    """Share that arrives twice."""
    duplicate_late_ratio: float = 0.0
    """Share of which a copy comes much later."""
    duplicate_late_s: float = 300.0
    """How much later in the mean: drawn evenly from half of this to one and a half."""
    reorder_ratio: float = 0.0
    """Share that is held back, so that others overtake it."""
    reorder_s: float = 0.1
    """How long it is held back at most, drawn evenly."""
    delay_s: float = 0.02
    """Time from one end to the other."""
    jitter_s: float = 0.0
    """Further delay, drawn evenly from 0 to this."""
    rate_bits_per_s: float | None = None
    """What passes at most, headers of IPv4 and UDP included; None: no limit."""
    queue_packets: int = 25
    """How many wait at the rate limit; what comes then is dropped."""
    mtu_bytes: int | None = None
    """The longest IP packet that passes, headers of IPv4 and UDP included; None: all do."""

    def __post_init__(self) -> None:
        """Read words, and refuse what is wrong."""
        for name in _RATIOS:
            self._set(name, q.ratio(getattr(self, name), name))
        for name in _DURATIONS:
            self._set(name, q.duration_s(getattr(self, name), name))
        if self.rate_bits_per_s is not None:
            self._set("rate_bits_per_s", q.rate_bits_per_s(self.rate_bits_per_s, "rate_bits_per_s"))
        if self.mtu_bytes is not None:
            q.whole(self.mtu_bytes, "mtu_bytes", MTU_BYTES_MIN, MTU_BYTES_MAX)
        q.whole(self.queue_packets, "queue_packets", 1, QUEUE_PACKETS_MAX)
        if self.outage_mean_s == 0:
            raise ConfigError("outage_mean_s: 0 is not allowed; allowed is a duration above 0")
        if self.outage_shape not in SHAPES:
            raise ConfigError(
                f"outage_shape: {self.outage_shape!r} is not allowed; allowed are {SHAPES}"
            )
        if self.loss_burst_packets is not None:
            burst = q.count(self.loss_burst_packets, "loss_burst_packets", 1, BURST_PACKETS_MAX)
            self._set("loss_burst_packets", burst)
            self._check_burst(burst)

    def _set(self, name: str, value: float) -> None:
        object.__setattr__(self, name, value)  # the one way into a frozen instance

    def _check_burst(self, burst: float) -> None:
        """The chain must be able to enter its bad state often enough: p = L / (B (1 - L)) ≤ 1."""
        if self.loss_ratio > burst / (1 + burst):
            raise ConfigError(
                f"loss_ratio: {self.loss_ratio:g} cannot be lost in bursts of {burst:g};"
                f" allowed is at most {burst / (1 + burst):g}"
            )

    # --- The language ---

    def loss(self, ratio: float, *, mean_burst: float | None = None) -> Profile:
        """Lose a share of the datagrams, each for itself or in bursts of this mean length."""
        return replace(self, loss_ratio=ratio, loss_burst_packets=mean_burst)

    def outage(
        self, share: float, *, mean: Duration = 2.0, shape: Shape = "log-uniform"
    ) -> Profile:
        """Let nothing pass for a share of the time, for ``mean`` at a time."""
        mean_s = q.duration_s(mean, "outage_mean_s")
        return replace(self, outage_ratio=share, outage_mean_s=mean_s, outage_shape=shape)

    def delay(self, by: Duration, *, jitter: Duration = 0.0) -> Profile:
        """Let each datagram take so long, and up to ``jitter`` longer."""
        delay_s, jitter_s = q.duration_s(by, "delay_s"), q.duration_s(jitter, "jitter_s")
        return replace(self, delay_s=delay_s, jitter_s=jitter_s)

    def rate(self, limit: str | float, *, queue: int = 25) -> Profile:
        """Let so much pass, with a queue of so many datagrams before it."""
        bits_per_s = q.rate_bits_per_s(limit, "rate_bits_per_s")
        return replace(self, rate_bits_per_s=bits_per_s, queue_packets=queue)

    def duplicate(self, ratio: float) -> Profile:
        """Let a share arrive twice."""
        return replace(self, duplicate_ratio=ratio)

    def duplicate_late(self, ratio: float, *, after: Duration = 300.0) -> Profile:
        """Let a copy of a share come much later."""
        late_s = q.duration_s(after, "duplicate_late_s")
        return replace(self, duplicate_late_ratio=ratio, duplicate_late_s=late_s)

    def reorder(self, ratio: float, *, by: Duration = 0.1) -> Profile:
        """Hold a share back for up to ``by``."""
        return replace(self, reorder_ratio=ratio, reorder_s=q.duration_s(by, "reorder_s"))

    def corrupt(self, ratio: float) -> Profile:
        """Flip one bit of a share."""
        return replace(self, corrupt_ratio=ratio)

    def truncate(self, ratio: float) -> Profile:
        """Cut off the end of a share."""
        return replace(self, truncate_ratio=ratio)

    def mtu(self, size_bytes: int) -> Profile:
        """Drop silently what makes a longer IP packet."""
        return replace(self, mtu_bytes=size_bytes)

    def healed(self) -> Profile:
        """Keep the delay only."""
        return Profile(delay_s=self.delay_s)


_RATIOS = tuple(name for name in Profile.__dataclass_fields__ if name.endswith("_ratio"))
_DURATIONS = tuple(
    name
    for name in Profile.__dataclass_fields__
    if name.endswith("_s") and name != "rate_bits_per_s"
)


class Loss:
    """Where a profile begins: what is lost."""

    @staticmethod
    def none() -> Profile:
        """Lose nothing."""
        return Profile()

    @staticmethod
    def uniform(ratio: float) -> Profile:
        """Lose each datagram with the same probability."""
        return Profile(loss_ratio=ratio)

    @staticmethod
    def burst(ratio: float, *, mean_burst: float) -> Profile:
        """Lose a share in bursts; counted in datagrams, however much time is between them."""
        return Profile(loss_ratio=ratio, loss_burst_packets=mean_burst)

    @staticmethod
    def gilbert_elliott(*, rate: float, burst: float) -> Profile:
        """Do as `burst`, under the name of the model."""
        return Profile(loss_ratio=rate, loss_burst_packets=burst)

    @staticmethod
    def outage(share: float, *, mean: Duration = 2.0, shape: Shape = "log-uniform") -> Profile:
        """Lose whatever is sent in a share of the time: bursts that sparse traffic feels, too."""
        return Profile().outage(share, mean=mean, shape=shape)
