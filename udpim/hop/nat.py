"""How long the NATs before us keep a binding: found out on a spare port, by bisection.

A trial: a probe leaves from the spare port, nothing passes there for a while, then the server is
asked to answer it. If the answer arrives, the binding has lived that long. Decides and counts, and
does no I/O: :mod:`udpim.node.spare_port` carries it out.

Specification: PROTOCOL §3.11; RFC 5780 §4.6 has the idea.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from math import inf

from udpim.wire.frames import CHALLENGE_BYTES

BASE_S = 1.0
"""The first silence: if not even this is survived, the spare port tells nothing."""
FIRST_S = 30.0
"""The second one: what most NATs keep."""
LIFE_S_MAX = 300.0
"""The longest one: what RFC 4787 §4.3 asks of NATs; longer ones are of no use here."""
RESOLUTION_S = 5.0
"""When the longest that lived and the shortest that died are as close, it is known enough."""
ANSWER_S = 2.0
"""Time for the answer after the server has said that it left."""
REPORT_S = 20.0
"""Time for the server to say so; it sends that again if it is lost."""
FAILURES_MAX = 3
"""Answers in a row that have to be missing: one alone may have been lost."""
TRIES_MAX = 5
"""Trials in a row that may come to nothing: lost probes, a server that says nothing."""
MARGIN_RATIO = 0.8
"""Share of a binding's life after which it is refreshed."""
IDLE_PARTS = 3
"""Keepalives that fit into the idle timeout, so that one may be lost."""
KEEPALIVE_S_MIN = 5.0
"""Oftener is not worth the battery; such a NAT is not for idle clients."""


def keepalive_s(life_s: float, idle_s: float) -> float:
    """The interval of keepalives for bindings that live so long, and this idle timeout."""
    wanted_s = max(life_s * MARGIN_RATIO, KEEPALIVE_S_MIN)
    return min(wanted_s, idle_s / IDLE_PARTS)


class Step(enum.Enum):
    """What a trial waits for."""

    PROBE = "probe"
    """The probe is to be sent."""
    SILENCE = "silence"
    """Nothing may pass the spare port."""
    ASK = "ask"
    """The server is to be asked."""
    REPORT = "report"
    """The server has not said yet whether it has answered."""
    ANSWER = "answer"
    """It has answered."""
    OVER = "over"
    """No further trial is needed, or none is of use."""


class BindingLearner:
    """The bisection: which trial comes next, and what each has shown.

    Contract: when :attr:`step` is PROBE or ASK, send that with :attr:`data` and call
    :meth:`on_sent`; after every input look at it again.
    """

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        """Begin with the first trial; probes are named with ``random_bytes``."""
        self.life_s: float | None = None
        """The longest silence that a binding has survived; None: none so far."""
        self.data = b""
        """What names the present trial's probe."""
        self.step = Step.PROBE
        self._random_bytes = random_bytes
        self._died_s: float | None = None
        self._silence_s = BASE_S
        self._failures = 0
        self._tries = 0
        self._due_at = inf
        self._begin()

    def on_sent(self, now: float) -> None:
        """The probe, or the question, has left."""
        if self.step is Step.PROBE:
            self.step, self._due_at = Step.SILENCE, now + self._silence_s
        else:
            self.step, self._due_at = Step.REPORT, now + REPORT_S

    def on_report(self, data: bytes, now: float, *, sent: bool) -> None:
        """The server has answered the probe, or has none."""
        if data != self.data or self.step is not Step.REPORT:
            return
        if sent:
            self.step, self._due_at = Step.ANSWER, now + ANSWER_S
        else:
            self._came_to_nothing()

    def on_answer(self, data: bytes) -> None:
        """The answer has come to the spare port."""
        if data == self.data and self.step in (Step.REPORT, Step.ANSWER):
            self.life_s = self._silence_s
            self._failures = self._tries = 0
            self._go_on()

    def handle_timeout(self, now: float) -> None:
        """Do what is due; early or twice is harmless."""
        if now < self._due_at:
            return
        if self.step is Step.SILENCE:
            self.step, self._due_at = Step.ASK, inf
        elif self.step is Step.REPORT:
            self._came_to_nothing()
        else:
            assert self.step is Step.ANSWER, "the others have no deadline"
            self._tries = 0
            self._failures += 1
            if self._failures == FAILURES_MAX:
                self._died_s, self._failures = self._silence_s, 0
            self._go_on()

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` has something to do."""
        return None if self._due_at == inf else self._due_at

    # Private.

    def _came_to_nothing(self) -> None:
        """It says neither that the binding lives nor that it does not."""
        self._tries += 1
        if self._tries == TRIES_MAX:
            self._end()
        else:
            self._begin()

    def _go_on(self) -> None:
        """Choose the next trial by what is known."""
        lived, died = self.life_s or 0.0, self._died_s
        if self._failures:
            self._begin()
        elif died is not None and (not lived or died - lived <= RESOLUTION_S):
            self._end()
        elif died is not None:
            self._silence_s = (lived + died) / 2
            self._begin()
        elif lived == LIFE_S_MAX:
            self._end()
        else:
            self._silence_s = min(max(FIRST_S, 2 * lived), LIFE_S_MAX)
            self._begin()

    def _begin(self) -> None:
        self.data = self._random_bytes(CHALLENGE_BYTES)
        self.step, self._due_at = Step.PROBE, inf

    def _end(self) -> None:
        self.step, self._due_at = Step.OVER, inf
