"""What the server keeps durably of groups, and the operations that change it (PROTOCOL §5.10)."""

from __future__ import annotations

from typing import NamedTuple


class GroupRecord(NamedTuple):
    """A group, without its members."""

    name: str
    owner: str
    epoch: int
    """Number of the last join or leave."""
    next_ordinal: int


class MemberRecord(NamedTuple):
    """A user's membership in a group, or that of one of the user's devices."""

    group: str
    user: str
    device: str
    """Empty for the user."""
    ordinal: int
    """Of a device; 0 for a user."""
    joined: int


class PutGroup(NamedTuple):
    """Insert or replace a group."""

    record: GroupRecord


class PutMember(NamedTuple):
    """Insert or replace a membership."""

    record: MemberRecord


class DropMember(NamedTuple):
    """Delete a membership, if it is there."""

    group: str
    user: str
    device: str
