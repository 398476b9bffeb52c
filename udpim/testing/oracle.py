"""The oracle of every test: runs the invariants over a history and tells what was violated.

An empty history is a failure: a test in which nothing happened proves nothing. So is a history in
which no message was accepted, none was committed, or no receipt was shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from udpim.testing import invariants as i
from udpim.testing.history import History
from udpim.testing.legible import all_is_legible
from udpim.testing.promises import Stories, i7_promise_after_durable
from udpim.testing.restraint import i12_restraint
from udpim.testing.secrecy import no_nonce_twice

LIVENESS_S = 10 + 3 * 30.0
"""I14: 10 s and three times the hop's dead time."""
STORIES_MAX = 20
"""Violations told in one failure."""

ALWAYS: tuple[Callable[[History], Stories], ...] = (
    i.i1_no_loss,
    i.i2_no_duplicate,
    i.i3_receipt_truth,
    i.i4_lattice,
    i.i5_definite_negative,
    i.i6_bounded_exact_dedup,
    i7_promise_after_durable,
    i.i8_equal_answers,
    i.i9_accepted_never_disarms,
    i.i10_evidence,
    i.i11_order,
    i12_restraint,
    i.i13_authority,
    i.i16_replay,
    no_nonce_twice,
    all_is_legible,
)
"""What holds at every moment of every history."""


class Violated(AssertionError):
    """At least one invariant does not hold.

    Attributes:
        invariants: Names of the violated ones, in order.
    """

    def __init__(self, stories: Sequence[tuple[str, str]]) -> None:
        """Tell the first stories: (invariant, sentence)."""
        self.invariants = list(dict.fromkeys(name for name, _ in stories))
        shown = [f"{name}: {story}" for name, story in stories[:STORIES_MAX]]
        if len(stories) > STORIES_MAX:
            shown.append(f"… and {len(stories) - STORIES_MAX} more")
        super().__init__("\n".join(shown))


class Oracle:
    """Judges one history."""

    def __init__(self, history: History) -> None:
        """Watch this history."""
        self._history = history

    def check(self) -> None:
        """Check what must hold at every moment.

        Raises:
            Violated: If an invariant does not hold, or nothing happened.
        """
        self.refuse(self._emptiness() or self._stories(ALWAYS))

    def check_settled(self, up: Sequence[str], *, empty: bool = False) -> None:
        """Check everything, and that nothing is left to do (I14).

        Args:
            up: Hosts of the clients that are running.
            empty: Whether it is all right if nothing happened: one run of many.

        Raises:
            Violated: If an invariant does not hold, or nothing happened.
        """
        stories = ([] if empty else self._emptiness()) or self._stories(ALWAYS)
        stories += [(i.i14_liveness.__name__, s) for s in i.i14_liveness(self._history, up)]
        self.refuse(stories)

    def check_quiet(self, since_s: float, keepalive_s: float = 10.0) -> None:
        """Check that since then only keepalives were sent (I15).

        Raises:
            Violated: If anything else was.
        """
        quiet = i.i15_quiescence(self._history, since_s, keepalive_s)
        self.refuse([(i.i15_quiescence.__name__, story) for story in quiet])

    def _emptiness(self) -> list[tuple[str, str]]:
        h = self._history
        facts = {
            "no message was accepted": any(s.accepted for s in h.sends.values()),
            "nothing was committed at a recipient": bool(h.commits or h.voided),
            "no state was shown to a sender": bool(h.shown),
            "no IM packet was sent": bool(h.frames),
        }
        return [("empty", words) for words, there in facts.items() if not there]

    def _stories(self, checks: Sequence[Callable[[History], Stories]]) -> list[tuple[str, str]]:
        return [(check.__name__, story) for check in checks for story in check(self._history)]

    @staticmethod
    def refuse(stories: Sequence[tuple[str, str]]) -> None:
        """Complain of what others found: (invariant, sentence) of each violation.

        Raises:
            Violated: If there is any.
        """
        if stories:
            raise Violated(stories)
