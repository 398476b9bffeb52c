"""Orders beside the dice: drop this very packet, let nothing pass from here to there.

::

    Drop("ack:N", nth=1, to="alice")
    blackout(at="1s", lasts="3s")
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from udpim.errors import ConfigError
from udpim.testing.faults import quantities as q
from udpim.testing.wiretap import LABELS

COUNT_MAX = 1_000_000
"""Datagrams that one order may count to."""


def is_host(wanted: str | None, host: str) -> bool:
    """Tell whether it is the wanted host, or a device of the wanted user; None wants all."""
    return wanted is None or wanted in (host, host.partition("/")[0])


@dataclass(frozen=True, slots=True)
class Drop:
    """Drop certain datagrams by what is in them.

    Attributes:
        label: What is in it: ``msg:R``, ``ack:N``, ``HELLO``, ``ACK``, … as
            `udpim.testing.wiretap` names it.
        nth: The first of the matching ones that is dropped, counted from 1.
        to: Host or user that it goes to; None for any.
        frm: Host or user that it comes from; None for any.
        count: How many in a row are dropped.

    Raises:
        ConfigError: If a value is wrong; names the field and what is allowed.
    """

    label: str
    nth: int = 1
    to: str | None = None
    frm: str | None = None
    count: int = 1

    def __post_init__(self) -> None:
        """Refuse what is wrong."""
        if self.label not in LABELS:
            near = get_close_matches(str(self.label), LABELS, 1, cutoff=0.0)
            raise ConfigError(
                f"label: no packet is named {self.label!r}, perhaps {near[0]!r}; allowed are"
                f" {', '.join(LABELS)}"
            )
        q.whole(self.nth, "nth", 1, COUNT_MAX)
        q.whole(self.count, "count", 1, COUNT_MAX)
        for name, wanted in (("to", self.to), ("frm", self.frm)):
            if wanted is not None:
                q.host(wanted, name)

    @property
    def copies(self) -> range:
        """Which of the matching datagrams it drops, counted from 1."""
        return range(self.nth, self.nth + self.count)


@dataclass(frozen=True, slots=True)
class Blackout:
    """Let nothing pass for some time.

    Attributes:
        at_s: When it begins, seconds after it was ordered.
        lasts_s: For how long, seconds.
        between: Two hosts or users, in both directions; None: everybody.

    Raises:
        ConfigError: If a value is wrong; names the field and what is allowed.
    """

    at_s: float
    lasts_s: float
    between: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        """Read words, and refuse what is wrong."""
        for name in ("at_s", "lasts_s"):
            seconds = q.duration_s(getattr(self, name), name)
            object.__setattr__(self, name, seconds)  # the one way into a frozen instance
        pair = self.between
        if pair is None:
            return
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ConfigError(f"between: {pair!r} is not allowed; allowed are two hosts, or none")
        one, other = pair
        object.__setattr__(self, "between", (q.host(one, "between"), q.host(other, "between")))

    def covers(self, source: str, destination: str) -> bool:
        """Tell whether it is about this direction."""
        if self.between is None:
            return True
        one, other = self.between
        return (is_host(one, source) and is_host(other, destination)) or (
            is_host(other, source) and is_host(one, destination)
        )


def blackout(
    *, at: str | float, lasts: str | float, between: tuple[str, str] | None = None
) -> Blackout:
    """Let nothing pass from ``at`` on, for as long as it ``lasts``."""
    return Blackout(q.duration_s(at, "at"), q.duration_s(lasts, "lasts"), between)
