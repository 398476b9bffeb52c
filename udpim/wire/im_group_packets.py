"""The values of IM packets about groups and reading (PROTOCOL §5.10, §5.11).

A part of `im_packets`, where everybody takes them from.
"""

from __future__ import annotations

from typing import NamedTuple

from udpim.model import StreamId
from udpim.ranges import Range


class TallyEntry(NamedTuple):
    """The same verdict of several endpoints for the same seqs."""

    verdict: int
    """0 delivered, 1 void, 2 stored, 3 excused."""
    ranges: tuple[Range, ...]
    first: int
    """Ordinal that bit 0 of ``bitmap`` stands for."""
    bitmap: int


class Tally(NamedTuple):
    """S → A: verdicts of a group's members, collected."""

    handle: int
    name: StreamId | None
    store_epoch: int
    as_of: int
    """They hold for incarnations that came with this change of the server or an earlier one."""
    entries: tuple[TallyEntry, ...]


class Gone(NamedTuple):
    """S → B: you are no member any more; what is missing of this stream will not come."""

    handle: int
    name: StreamId | None


class GroupR(NamedTuple):
    """Client → S: change or list a group."""

    request: int
    """Number of the question, drawn by the client."""
    action: int
    group: str
    user: str
    """Whom it is about; empty for the client's own user."""


class GroupA(NamedTuple):
    """S → client: what became of it, and names where the action was to list."""

    request: int
    code: int
    names: tuple[str, ...]


class ReadR(NamedTuple):
    """B → S: the application has read everything up to here."""

    handle: int
    name: StreamId | None
    read: int


class ReadN(NamedTuple):
    """S → A: an endpoint has read everything up to here."""

    handle: int
    name: StreamId | None
    ordinal: int
    incarnation: int
    read: int


class ReadA(NamedTuple):
    """S → B: this cannot get lost any more."""

    handle: int
    read: int
