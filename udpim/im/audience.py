"""Whom the messages of one stream are due to, and what their verdicts amount to (PROTOCOL §5.1).

The endpoints of a conversation are views with verdicts as ranges; this is where they are judged
together. A user has a message when one of the user's devices has it. A direct message looks at the
recipient's devices, a group's at all other members; the sender's own other devices get a copy, and
have no say in what is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from udpim.im.member_view import MemberView
from udpim.im.records import OutMember
from udpim.model import Endpoint, StreamId, is_group
from udpim.ranges import Range, RangeSet, intersect
from udpim.wire.im_packets import Member


class Judgement(NamedTuple):
    """What holds of a run of seqs with one epoch, as ranges."""

    settled: list[Range]
    """Every endpoint due them has a verdict, or is excused: floor may pass."""
    covered: list[Range]
    """Every endpoint is settled or STORED: no copy is needed."""
    decided: list[Range]
    """What the message shows will not change."""
    delivered: list[Range]
    """Every user who can have it has it, and there is one."""
    void: list[Range]
    """Nobody ever will."""
    kept: list[Range]
    """Every user has it, will not get it, or has it STORED."""


class Progress(NamedTuple):
    """Who has a message. The sender's own other devices are left out."""

    delivered: frozenset[Endpoint]
    stored: frozenset[Endpoint]
    """The server keeps it for these."""
    excused: frozenset[Endpoint]
    """These have left, or will not get it and claim nothing."""
    void: frozenset[Endpoint]
    """These will never deliver it."""
    missing: frozenset[Endpoint]
    """Nothing is known of these."""


class Audience:
    """The endpoints of one stream's conversation, in order of their lines."""

    def __init__(self, stream: StreamId, members: Sequence[OutMember]) -> None:
        """Restore from a record."""
        self.group = is_group(stream.conversation)
        self._sender = stream.user
        self._own_counts = stream.user == stream.conversation
        self.views = [MemberView(member) for member in members]
        self._by_ordinal: dict[int, MemberView] = {}
        self._index()

    def _index(self) -> None:
        self._by_ordinal = {view.ordinal: view for view in self.views}

    def view(self, ordinal: int) -> MemberView | None:
        """Return the endpoint with this ordinal."""
        return self._by_ordinal.get(ordinal)

    def counts(self, view: MemberView) -> bool:
        """Tell whether an endpoint has a say in what is shown: it is not one of the sender's."""
        return self._own_counts or view.endpoint.user != self._sender

    # --- Membership ---

    def learn(
        self,
        members: Iterable[Member],
        epoch: int,
        *,
        whole: bool,
        same_store: bool,
        sent: int = 0,
    ) -> tuple[list[MemberView], list[MemberView]]:
        """Take over lines: all present ones, or those that changed.

        Args:
            members: The lines.
            epoch: Whoever is missing had left by then.
            whole: Whether whoever is missing belongs to it no more.
            same_store: Whether ordinals are those of the lines known so far.
            sent: Last seq so far. Who joins a group is not due it, so nobody waits for a reader.

        Returns:
            Views whose incarnation is a newer one, and views that another store has forgotten.
        """
        known: dict[object, MemberView] = {
            view.ordinal if same_store else view.endpoint: view for view in self.views
        }
        users = {view.endpoint.user for view in self.views if not view.left}
        fresh_read = sent if self.group and same_store else 0
        renewed, present = [], []
        for line in members:
            view = known.pop(line.ordinal if same_store else line.endpoint, None)
            if view is None:
                read = 0 if line.user in users else fresh_read
                fresh = OutMember(*line[1:3], 0, line.incarnation, 0, 0, 0, (), (), (), (), read)
                view = MemberView(fresh)
            elif view.incarnation != line.incarnation:
                renewed.append(view)
            view.ordinal, view.incarnation = line.ordinal, line.incarnation
            view.renewed, view.joined, view.left = line.renewed, line.joined, line.left
            present.append(view)
        rest = list(known.values())
        if not same_store:
            self.views = present
        elif whole:
            for view in rest:
                view.left = view.left or epoch
            self.views = present + rest
        else:
            self.views = rest + present
        self._index()
        return renewed, [] if same_store else rest

    def excuse(self, first: int, last: int) -> None:
        """Nobody waits for the verdicts of who has left."""
        if first <= last:
            for view in self.views:
                if view.left:
                    view.take_excused(first, last)

    def forget_below(self, floor: int) -> None:
        """Lines of leavers go once nothing that was due to them is open."""
        if any(view.left for view in self.views):
            self.views = [
                view
                for view in self.views
                if not view.left or (len(view.excused) and view.excused.last >= floor)
            ]
            self._index()

    def bitmap_of_covered(self, first: int, last: int) -> int:
        """Return the bitmap, over ordinals, of the endpoints that need no copy of first..last."""
        bitmap = 0
        if len(self.views) > 1:
            for view in self.views:
                if view.covers(first, last):
                    bitmap |= 1 << view.ordinal
        return bitmap

    # --- Verdicts ---

    def judge(self, epoch: int, first: int, last: int) -> Judgement | None:
        """Tell what holds of first..last, all stamped with ``epoch``.

        Returns:
            None while nobody who has a say is due a direct message, for it waits for somebody. A
            group's is excused then.
        """
        due = [view for view in self.views if view.due(epoch)]
        whole = [(first, last)]
        if not due:
            return Judgement(whole, whole, whole, [], [], whole) if self.group and epoch else None
        settled, covered = whole, whole
        for view in due:
            settled = intersect(settled, view.confirmed)
            covered = [part for a, b in covered for part in view.covered_within(a, b)]
        users: dict[str, list[MemberView]] = {}
        for view in due:
            if self.counts(view):
                users.setdefault(view.endpoint.user, []).append(view)
        if not users:
            return Judgement(settled, covered, whole, [], [], whole) if self.group else None
        decided, void, kept = whole, whole, whole
        some = RangeSet()
        for views in users.values():
            has = RangeSet(part for view in views for part in view.delivered.within(first, last))
            some.update(has)
            done, stored = whole, has.copy()
            for view in views:
                done = intersect(done, view.confirmed)
                void = intersect(void, view.void)
                stored.update(view.stored.within(first, last))
            stored.update(done)
            has.update(done)
            decided = intersect(decided, has)
            kept = intersect(kept, stored)
        return Judgement(settled, covered, decided, intersect(decided, some), void, kept)

    def somebody(self, epoch: int) -> bool:
        """Tell whether a message stamped with ``epoch`` is due to anybody who has a say.

        Where nobody is, a direct message is stamped anew once somebody comes. Who comes to a group
        gets only what is sent afterwards.
        """
        if self.group:
            return epoch > 0
        return any(view.due(epoch) and self.counts(view) for view in self.views)

    def progress(self, epoch: int, seq: int) -> Progress:
        """Tell who has one message, of those that it is due to or that spoke of it."""
        sets: dict[str, set[Endpoint]] = {name: set() for name in Progress._fields}
        for view in self.views:
            if self.counts(view) and (view.due(epoch) or seq in view.confirmed):
                sets[view.standing(seq)].add(view.endpoint)
        return Progress(**{name: frozenset(found) for name, found in sets.items()})

    def read_up_to(self) -> int:
        """Return up to where every user has read, on one device at least."""
        users: dict[str, int] = {}
        for view in self.views:
            if self.counts(view) and not view.left:
                user = view.endpoint.user
                users[user] = max(view.read, users.get(user, 0))
        return min(users.values(), default=0)

    def record(self) -> tuple[OutMember, ...]:
        """Return the durable form."""
        return tuple([view.record() for view in self.views])
