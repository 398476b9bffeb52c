"""A whole fault file: the profiles of all links, drops and blackouts, as TOML.

::

    [link]
    loss_ratio = 0.1
    delay_s = "40ms"

    [link."alice > server"]
    delay_s = 0.3

    [[drop]]
    label = "ack:N"
    to = "alice"

    [[blackout]]
    at_s = "1s"
    lasts_s = "3s"
    between = ["alice", "server"]

Keys are the names of fields. A direction with a table of its own has nothing of ``[link]``.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from udpim.errors import ConfigError
from udpim.testing.faults import quantities as q
from udpim.testing.faults.orders import Blackout, Drop
from udpim.testing.faults.profile import Profile

_Table = TypeVar("_Table", Profile, Drop, Blackout)
_ARROW = " > "
_SPOKEN = {"from": "frm"}
"""Keys that Python does not allow as names."""
_WRITTEN = {name: key for key, name in _SPOKEN.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultFile:
    """What a fault file says."""

    link: Profile = field(default_factory=Profile)
    """Every direction that has none of its own."""
    links: Mapping[tuple[str, str], Profile] = field(default_factory=dict)
    """Directions of their own: (source, destination), hosts or users."""
    drops: tuple[Drop, ...] = ()
    blackouts: tuple[Blackout, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that no file can hold."""
        for source, destination in self.links:
            q.host(source, "link")
            q.host(destination, "link")


def load(source: Path | str) -> FaultFile:
    """Read a fault file.

    Args:
        source: The file; or its text, where it is a str.

    Raises:
        ConfigError: If it cannot be read, or something in it is wrong; names the table and key.
    """
    where = str(source) if isinstance(source, Path) else "fault file"
    try:
        text = source.read_text("utf-8") if isinstance(source, Path) else source
        document = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error
    _only(("link", "drop", "blackout"), document, where)
    link = _table(document.get("link", {}), f"{where}: [link]")
    own = {key: value for key, value in link.items() if isinstance(value, dict)}
    shared = {key: value for key, value in link.items() if key not in own}
    return FaultFile(
        link=_make(Profile, shared, f"{where}: [link]"),
        links=dict(_direction(key, table, where) for key, table in own.items()),
        drops=_many(Drop, document, "drop", where),
        blackouts=_many(Blackout, document, "blackout", where),
    )


def dump(file: FaultFile) -> str:
    """Write a fault file: what differs from the defaults, so that `load` gives the same again."""
    tables = [_section("[link]", file.link)] if file.link != Profile() else []
    for direction, profile in file.links.items():
        tables.append(_section(f"[link.{_string(_ARROW.join(direction))}]", profile))
    tables += [_section("[[drop]]", drop) for drop in file.drops]
    tables += [_section("[[blackout]]", cut) for cut in file.blackouts]
    return "\n".join(tables)


# --- Reading ---


def _direction(key: str, table: dict[str, Any], where: str) -> tuple[tuple[str, str], Profile]:
    names = key.split(_ARROW)
    if len(names) != 2:
        raise ConfigError(
            f"{where}: [link.{_string(key)}]: allowed are directions like 'alice > server'"
        )
    source, destination = (q.host(name, f"{where}: [link.{_string(key)}]") for name in names)
    return (source, destination), _make(Profile, table, f"{where}: [link.{_string(key)}]")


def _many(
    kind: type[_Table], document: Mapping[str, Any], key: str, where: str
) -> tuple[_Table, ...]:
    tables = document.get(key, [])
    if not isinstance(tables, list):
        raise ConfigError(f"{where}: [{key}]: is written [[{key}]], as there may be several")
    return tuple(
        _make(kind, _table(table, f"{where}: [[{key}]]"), f"{where}: [[{key}]] {number}")
        for number, table in enumerate(tables, 1)
    )


def _make(kind: type[_Table], table: Mapping[str, Any], where: str) -> _Table:
    keys = {_WRITTEN.get(each.name, each.name): each for each in fields(kind)}
    _only(keys, table, where)
    for key, each in keys.items():
        if each.default is MISSING and key not in table:
            raise ConfigError(f"{where}: {key} is missing")
    try:
        return kind(**{_SPOKEN.get(key, key): value for key, value in table.items()})
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _only(allowed: Iterable[str], table: Mapping[str, Any], where: str) -> None:
    for key in table:
        if key not in allowed:
            raise ConfigError(f"{where}: unknown key {key!r}; allowed are {', '.join(allowed)}")


def _table(value: Any, where: str) -> dict[str, Any]:  # noqa: ANN401  # whatever TOML holds
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {value!r} is no table")
    return value


# --- Writing ---


def _section(head: str, value: Profile | Drop | Blackout) -> str:
    lines = [head]
    for each in fields(value):
        here = getattr(value, each.name)
        if each.default is MISSING or here != each.default:
            lines.append(f"{_WRITTEN.get(each.name, each.name)} = {_value(here)}")
    return "\n".join(lines) + "\n"


def _value(value: str | float | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_string, value))}]"
    return _string(value) if isinstance(value, str) else repr(value)


def _string(text: str) -> str:
    """Write a basic string; TOML escapes as JSON does, and the delete character too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
