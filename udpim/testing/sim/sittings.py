"""A campaign in several sittings: a file keeps what was played, and the next goes on from there.

All sittings play the same code, or the sum would be of none: the file names it by a hash of the
package's sources.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from udpim.errors import ConfigError
from udpim.testing.sim.campaign import Failure, Totals

SOURCES = Path(__file__).parents[2]
"""The package."""
COUNTERS = ("account", "faults", "labels", "kinds")


@dataclass(slots=True, kw_only=True)
class Sittings:
    """A campaign so far."""

    path: Path
    first: int
    """Its first seed."""
    totals: Totals = field(default_factory=Totals)
    seconds: float = 0.0
    """How long its sittings took together."""
    count: int = 1
    """How many there were, with this one."""

    def save(self, seconds: float) -> None:
        """Keep the totals, ``seconds`` into this sitting. A crash leaves the file as it was.

        Raises:
            ConfigError: If the file cannot be written.
        """
        value = {
            "code": code(),
            "first": self.first,
            "seconds": self.seconds + seconds,
            "sittings": self.count,
            "totals": {one.name: getattr(self.totals, one.name) for one in fields(Totals)},
        }
        new = self.path.with_name(self.path.name + ".new")
        try:
            new.write_text(json.dumps(value, default=asdict), "utf-8")
            new.replace(self.path)
        except OSError as error:
            raise ConfigError(f"cannot write {self.path}: {error.strerror}") from error


def sit_down(path: Path, first: int) -> Sittings:
    """Return the campaign that a file keeps; a new one if there is none yet.

    Raises:
        ConfigError: If the file cannot be read, or is of other code or another first seed.
    """
    if not path.exists():
        return Sittings(path=path, first=first)
    try:
        value = json.loads(path.read_text("utf-8"))
        totals = _totals(value["totals"])
        kept = Sittings(
            path=path,
            first=value["first"],
            totals=totals,
            seconds=value["seconds"],
            count=value["sittings"] + 1,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"cannot go on with {path}: {error}") from error
    if value["code"] != code():
        raise ConfigError(f"cannot go on with {path}: it is a campaign of other code")
    if kept.first != first:
        raise ConfigError(f"cannot go on with {path}: its first seed is {kept.first}")
    return kept


def _totals(value: dict[str, Any]) -> Totals:
    counted = {name: Counter(value.pop(name)) for name in COUNTERS}
    failures = [
        Failure(seed=one["seed"], violated=tuple(one["violated"]), story=one["story"])
        for one in value.pop("failures")
    ]
    return Totals(**{**value, **counted, "failures": failures})


def code() -> str:
    """Return a hash of the package's sources."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(SOURCES.rglob("*.py")):
        digest.update(f"{path.relative_to(SOURCES).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
