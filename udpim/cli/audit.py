"""The demo's judge: compares what was sent with what arrived, message by message.

It asks no protocol state. For each sender and recipient it takes three lists: the payloads that
the sender sent, the rows of the recipient's inbox (read from the SQLite file with plain SQL, after
everybody has closed it), and the payloads that the recipient's program was handed. Equal payloads
are interchangeable, so each distinct payload is judged by how often it occurs.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path

from udpim.errors import StoreError
from udpim.model import FINAL_STATES, MessageState


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of the messages from one sender to one recipient."""

    sent: int = 0
    """Messages that the sender's outbox took."""
    delivered: int = 0
    """Messages that are in the inbox and were handed to the program."""
    lost: int = 0
    """Messages that are missing in the inbox, or were not handed over."""
    duplicated: int = 0
    """Surplus copies, in the inbox or handed over."""
    altered: int = 0
    """Payloads that nobody sent."""
    out_of_order: int = 0
    """Messages handed over after one that was sent later."""
    false_receipts: int = 0
    """DELIVERED shown for what is in no inbox, or VOID for what is in one."""
    unsettled: int = 0
    """Messages whose receipt was still open at the end."""

    @property
    def clean(self) -> bool:
        """Whether everything arrived once, in order, with true receipts."""
        return self.sent == self.delivered and not any(
            (
                self.lost,
                self.duplicated,
                self.altered,
                self.out_of_order,
                self.false_receipts,
                self.unsettled,
            )
        )

    def __add__(self, other: Verdict) -> Verdict:
        """Add up."""
        names = [field.name for field in fields(self)]
        return Verdict(**{name: getattr(self, name) + getattr(other, name) for name in names})


def judge(
    sent: Sequence[bytes],
    states: Sequence[MessageState],
    inbox: Sequence[bytes],
    handed: Sequence[bytes],
) -> Verdict:
    """Compare what one sender sent with what one recipient has.

    Args:
        sent: Payloads in the order in which they were sent.
        states: What the sender was shown at the end, one for each of ``sent``.
        inbox: Payloads of the recipient's inbox rows.
        handed: Payloads that the recipient's program got, in that order.
    """
    counts, rows, given = Counter(sent), Counter(inbox), Counter(handed)
    shown = Counter(zip(sent, states, strict=True))
    delivered = lost = duplicated = false = 0
    for payload, count in counts.items():
        least = min(rows[payload], given[payload])
        delivered += min(count, least)
        lost += max(0, count - least)
        duplicated += max(0, max(rows[payload], given[payload]) - count)
        false += max(0, shown[payload, MessageState.DELIVERED] - rows[payload])
        false += max(0, shown[payload, MessageState.VOID] + min(rows[payload], count) - count)
    return Verdict(
        sent=len(sent),
        delivered=delivered,
        lost=lost,
        duplicated=duplicated,
        altered=sum(n for payload, n in (rows | given).items() if payload not in counts),
        out_of_order=_out_of_order(sent, handed),
        false_receipts=false,
        unsettled=sum(state not in FINAL_STATES for state in states),
    )


def _out_of_order(sent: Sequence[bytes], handed: Sequence[bytes]) -> int:
    """How many messages were handed over after one that was sent later.

    The n-th copy of a payload stands for the n-th message with that payload; surplus copies are
    duplicates, not disorder.
    """
    places: dict[bytes, list[int]] = {}
    for place, payload in enumerate(sent):
        places.setdefault(payload, []).append(place)
    taken: Counter[bytes] = Counter()
    newest, late = -1, 0
    for payload in handed:
        mine = places.get(payload, [])
        if taken[payload] < len(mine):
            place = mine[taken[payload]]
            taken[payload] += 1
            late += place < newest
            newest = max(newest, place)
    return late


def read_inbox(path: str) -> dict[str, list[bytes]]:
    """Read the payloads that a closed client store holds, by sending user, oldest first.

    Raises:
        StoreError: If the file cannot be read.
    """
    try:
        with closing(
            sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            rows = connection.execute(
                "SELECT stream.user, payload FROM inbox JOIN stream ON inbox.stream = stream.id"
                " ORDER BY arrival"
            ).fetchall()
    except sqlite3.Error as error:
        raise StoreError(path, f"the audit cannot read it: {error}") from error
    payloads: dict[str, list[bytes]] = {}
    for user, payload in rows:
        payloads.setdefault(user, []).append(payload)
    return payloads


def quantile_ms(seconds: Sequence[float], ratio: float) -> float | None:
    """Return the smallest value that at least ``ratio`` of them do not exceed, in milliseconds."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    index = max(0, math.ceil(ratio * len(ordered)) - 1)
    return round(ordered[index] * 1000, 1)
