"""Durations, shares, rates and names as people write them; a wrong one is told by its field.

Everything that the fault language is given goes through here, from Python and from TOML.
"""

from __future__ import annotations

import math
import re

from udpim.errors import ConfigError

_DURATIONS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_RATES = {"bit": 1.0, "kbit": 1e3, "Mbit": 1e6, "Gbit": 1e9}
_WORDS = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)")

DURATION_S_MAX = 10 * 365 * 86_400.0
"""No fault takes longer; a delay of a year in ``s`` is more likely a slip of the unit."""


def duration_s(value: object, field: str) -> float:
    """Read ``"40ms"``, ``"2s"``, ``"5min"``, or seconds as a number.

    Raises:
        ConfigError: If it is none, or negative, or longer than `DURATION_S_MAX`.
    """
    seconds = _number(value, _DURATIONS)
    if seconds is None or not 0 <= seconds <= DURATION_S_MAX:
        raise ConfigError(
            f'{field}: {value!r} is no duration; allowed are "40ms", "2s", "5min" and the like'
            f" ({', '.join(_DURATIONS)}) or seconds as a number, 0 to {DURATION_S_MAX:g}"
        )
    return seconds


def ratio(value: object, field: str) -> float:
    """Read a share, 0 to 1.

    Raises:
        ConfigError: If it is none.
    """
    share = _number(value, {})
    if share is None or not 0 <= share <= 1:
        raise ConfigError(f"{field}: {value!r} is no share; allowed is a number from 0 to 1")
    return share


def rate_bits_per_s(value: object, field: str) -> float:
    """Read ``"1Mbit"``, or bits a second as a number.

    Raises:
        ConfigError: If it is none, or not positive.
    """
    rate = _number(value, _RATES)
    if rate is None or not 1 <= rate < math.inf:
        raise ConfigError(
            f'{field}: {value!r} is no rate; allowed are "1Mbit" and the like'
            f" ({', '.join(_RATES)}) or bits a second as a number, at least 1"
        )
    return rate


def count(value: object, field: str, least: float, most: float) -> float:
    """Read a mean number of things, within bounds.

    Raises:
        ConfigError: If it is none.
    """
    number = _number(value, {})
    if number is None or not least <= number <= most:
        raise ConfigError(
            f"{field}: {value!r} is not allowed; allowed is a number, {least:g} to {most:g}"
        )
    return number


def whole(value: object, field: str, least: int, most: int) -> int:
    """Read a whole number within bounds.

    Raises:
        ConfigError: If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(
            f"{field}: {value!r} is not allowed; allowed is a whole number, {least} to {most}"
        )
    return value


def host(value: object, field: str) -> str:
    """Read the name of a host (``server``, ``alice/phone``) or of a user (``alice``).

    Raises:
        ConfigError: If it is none.
    """
    if not isinstance(value, str) or not value or value != value.strip() or ">" in value:
        raise ConfigError(
            f"{field}: {value!r} is no host; allowed is a name like 'server', 'alice/phone' or"
            " 'alice', without '>' and without spaces around it"
        )
    return value


def _number(value: object, units: dict[str, float]) -> float | None:
    if isinstance(value, str):
        found = _WORDS.fullmatch(value.strip())
        if found is None or found[2] not in units:
            return None
        return float(found[1]) * units[found[2]]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
