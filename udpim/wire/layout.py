"""What a declaration says about its bytes, as rows for people: the tables of PROTOCOL §2 to §4.

Walks the declarations of `hop_schema` and `im_schema`: for each field its offset where it is
fixed, its width, its name and its rule. A rule is read off where it can be (a constant, the values
of one byte, a condition on a flag); else it is the ``docs`` of the declaration that checks it. What
checks something and tells it nowhere has the rule `UNTOLD`, which a test finds.

Used by the command that prints tables into PROTOCOL.md; of all this, only the names of flags serve
at run time (`describe`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import construct as c

from udpim.wire import im_schema
from udpim.wire import packet as p

UNTOLD = "NOT TOLD"
"""The rule of a field that checks something without words for it; see `im_schema.told`."""

FLAG_NAMES: dict[int, str] = {
    value: name.removeprefix("FLAG_").lower()
    for name, value in vars(im_schema).items()
    if name.startswith("FLAG_")
}
"""The flags of IM packets."""

_SILENT = (c.Computed, c.Check, type(c.Tell), type(c.Terminated))


class Row(NamedTuple):
    """One field.

    Attributes:
        field: Its name.
        at: Its offset, or None where that depends on what stands before it.
        width: Its bytes, in words: ``4``, ``1 + n``, ``4 × count``, ``rest``.
        rule: What its value has to be; empty if it may be anything.
    """

    field: str
    at: int | None
    width: str
    rule: str


def rows(declaration: Any) -> list[Row]:
    """Return a row for each field of a declared layout, in their order on the wire."""
    if isinstance(declaration, c.Tunnel):
        end = Row("checksum", None, str(p.CHECKSUM_BYTES), declaration.docs)
        return [*rows(declaration.subcon), end]
    return list(_fields(declaration))


def rules(declaration: Any) -> list[str]:
    """Return the rules that concern several fields at once."""
    if isinstance(declaration, c.Tunnel):
        return rules(declaration.subcon)
    checks = [item for item in declaration.subcons if isinstance(_bare(item), c.Check)]
    return [_words(item) or UNTOLD for item in checks]


def typed(type_byte: int, declaration: Any) -> Any:
    """The layout of a frame together with its type byte."""
    return c.Struct("type" / c.Const(type_byte, c.Int8ub), *declaration.subcons)


def flags_allowed(declaration: Any) -> int:
    """Return the flag bits that an IM packet may carry."""
    flags = next(item for item in declaration.subcons if item.name == "flags")
    return max(_values(flags))


def _fields(declaration: Any) -> Iterator[Row]:
    at: int | None = 0
    known: dict[str, list[int]] = {}
    for item in declaration.subcons:
        bare = _bare(item)
        if isinstance(bare, _SILENT):
            continue
        condition = ""
        if isinstance(bare, c.IfThenElse):
            found = _condition(bare.condfunc, known)
            if found is None:
                continue
            condition = f"only if {found}"
            bare = _bare(bare.thensubcon)
        width, rule = _width(bare), _rule(item.name, bare, _words(item))
        if condition:
            width, rule = f"0 or {width}", "; ".join(filter(None, (condition, rule)))
        yield Row(item.name, at, str(width), rule)
        if width == 1:
            known[item.name] = _values(bare)
        at = at + width if at is not None and isinstance(width, int) else None


def _bare(declaration: Any) -> Any:
    while isinstance(declaration, c.Renamed):
        declaration = declaration.subcon
    return declaration


def _words(declaration: Any) -> str:
    """The first words on the way from a name to the bytes."""
    while not declaration.docs and hasattr(declaration, "subcon"):
        declaration = declaration.subcon
    if isinstance(declaration, c.IfThenElse):
        return _words(declaration.thensubcon)
    words: str = declaration.docs
    return words


def _values(declaration: Any) -> list[int]:
    """All values that a field of one byte may have."""
    allowed = []
    for value in range(256):
        try:
            declaration.parse(bytes((value,)))
        except c.ConstructError:
            continue
        allowed.append(value)
    return allowed


def _rule(name: str, declaration: Any, words: str) -> str:
    if words:
        return words
    if isinstance(declaration, c.Const):
        return f"0x{declaration.value:02x}"
    if isinstance(declaration, c.StringEncoded):
        return "UTF-8"
    if not isinstance(declaration, c.Validator):
        return ""
    if _width(declaration) != 1:
        return UNTOLD
    values = _values(declaration)
    if name == "flags":
        names = [word for bit, word in FLAG_NAMES.items() if bit & max(values)]
        return ", ".join(names) or "0"
    return f"{values[0]} {'or' if len(values) == 2 else 'to'} {values[-1]}"


def _condition(test: Any, known: dict[str, list[int]]) -> str | None:
    """When an optional field is there, in words; None if it never is."""
    for name, values in known.items():
        try:
            there = [value for value in values if test(c.Container({name: value}))]
        except (KeyError, AttributeError):
            continue  # it asks another field
        if not there:
            return None
        if name != "flags":
            return f"`{name}`"
        bits = min(there)
        return " and ".join(word for bit, word in FLAG_NAMES.items() if bit & bits)
    return UNTOLD


def _width(declaration: Any) -> int | str:
    """How many bytes a field takes, as a number where it is fixed."""
    declaration = _bare(declaration)
    if isinstance(declaration, c.FocusedSeq):  # what PrefixedArray is made of
        count, items = (_width(_bare(item).subcon) for item in declaration.subcons)
        return f"{count} + {items} n" if isinstance(items, int) else f"{count} + …"
    if isinstance(declaration, c.Prefixed):
        return f"{_width(declaration.lengthfield)} + n"
    if isinstance(declaration, c.Array):
        item = _width(declaration.subcon)
        return f"{item} × count" if isinstance(item, int) else "…"
    if isinstance(declaration, (c.GreedyRange, type(c.GreedyBytes))):
        return "rest"
    if isinstance(declaration, c.Struct):
        widths = [row.width for row in rows(declaration)]
        fixed = all(width.isdecimal() for width in widths)
        return sum(map(int, widths)) if fixed else "…"
    if isinstance(declaration, c.Subconstruct) and not isinstance(declaration, c.Const):
        return _width(declaration.subcon)
    try:
        size: int = declaration.sizeof()
    except (c.SizeofError, KeyError):
        return "…"
    return size
