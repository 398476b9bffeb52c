"""What the sender's machine tells of its messages, in runs (PROTOCOL §5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from udpim.model import MessageState, StreamId

if TYPE_CHECKING:
    from udpim.im.out_stream import OutStream

Change = tuple[int, int, MessageState]
"""First seq, last seq, and the state that they now show."""


class StreamChanged(NamedTuple):
    """The messages first..last of a stream show a new state."""

    stream: OutStream
    first: int
    last: int
    state: MessageState


class Rerouted(NamedTuple):
    """A message was closed, and goes on as another one (PROTOCOL §5.6)."""

    stream: OutStream
    seq: int
    new_stream: OutStream
    new_seq: int


class StreamReborn(NamedTuple):
    """Messages that never left have a stream of the new incarnation now (R7)."""

    old: StreamId
    new: StreamId
    first: int
    last: int
    """Their seqs, which are the same."""
