"""Answers to a peer that measures how long the NATs before it keep a binding.

The peer's other port sends a probe; when the peer asks for it later, by the path of the connection,
one datagram goes to where the probe came from. One probe is remembered, for a while, and answered
once: what an address gets is never more than what came from it.

Specification: PROTOCOL §3.11; RFC 5780 §4.6 has the idea.
"""

from __future__ import annotations

from udpim.hop.codes import Address
from udpim.hop.sendqueue import OutgoingFrame, SendQueue
from udpim.wire.frames import BINDING_ANSWER, encode_binding_report, encode_path

PROBE_S_MAX = 600.0
"""How long a probe is remembered: twice the longest silence that a client tries."""


class Bindings:
    """The last probe of a connection's peer, if it was not answered."""

    __slots__ = ("_at", "_data", "_path", "_queue", "_report", "answers")

    def __init__(self, queue: SendQueue) -> None:
        """Nothing was probed; reports go to this queue."""
        self._queue = queue
        self._data: bytes | None = None
        self._path: Address = ("", 0)
        self._at = 0.0
        self.answers: list[tuple[bytes, Address]] = []
        """Those that are due."""
        self._report: OutgoingFrame | None = None

    def on_probe(self, data: bytes, path: Address, now: float) -> None:
        """A probe came from this address; it takes the place of any other."""
        self._data, self._path, self._at = data, path, now

    def on_ask(self, data: bytes, now: float) -> None:
        """The peer wants its probe answered, and to be told that."""
        sent = data == self._data and now - self._at <= PROBE_S_MAX
        if sent:
            self.answers.append((encode_path(BINDING_ANSWER, data), self._path))
            self._data = None
        if self._report is not None:
            self._queue.forget(self._report)
        self._report = self._queue.push_steering(encode_binding_report(data, sent=sent))

    def frames_to_send(self) -> list[tuple[bytes, Address]]:
        """The answers that are due, each to travel alone."""
        answers, self.answers = self.answers, []
        return answers
