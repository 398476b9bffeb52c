"""Golden vectors of the hop's formats, written by hand from PROTOCOL.md's tables."""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "vectors" / "hop"


def load(name):
    """The vectors of one file as pytest parameters (bytes, the whole entry)."""
    entries = json.loads((FOLDER / f"{name}.json").read_text())
    return [pytest.param(bytes.fromhex(e["hex"]), e, id=e["name"]) for e in entries]


def frames_of(entry):
    """The frames of a short-packet vector as the struct codec's tuples."""
    return [tuple(_item(frame[0], i, v) for i, v in enumerate(frame)) for frame in entry["frames"]]


def _item(kind, index, value):
    if not isinstance(value, str) or kind == 3:
        return value
    return int(value, 16) if kind == 2 else bytes.fromhex(value)


def long_packet_fields(value):
    """A long-packet vector's fields as Python values."""
    return {
        key: tuple(item) if isinstance(item, list) else _number_or_bytes(item)
        for key, item in value.items()
    }


def _number_or_bytes(item):
    return item if isinstance(item, int) else bytes.fromhex(item)
