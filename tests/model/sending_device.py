"""A's store and its lives: openings, commits, logins, incarnations (R7, PROTOCOL §5.8).

What becomes of messages is in sender.py.
"""

from tests.model.device import Device
from tests.model.packets import Session
from tests.model.state import Outbox, OutStream, Row


class SendingDevice(Device):
    """A device with an outbox."""

    def new_disk(self):
        return Outbox(self.draw_incarnation())

    def draw_incarnation(self):
        incarnation = self.world.draw_number()
        self.world.streams.append(incarnation)
        return incarnation

    def open(self, box):
        self.box = box
        self.note_the_opening()
        self.rolled_back = False
        """A verdict was for a seq that this store never used."""
        self.unsaved = False
        """The disk lacks something that must be on it before anything leaves."""
        self.told = {}
        """stream → the floor that S was told since the login."""
        self.after_commit = []
        """What must not leave, or be shown, before the next commit."""

    def note_the_opening(self):
        """R7: what is written before S lets us in must be told from what an old copy held.

        That outlives the process: the next one, not let in either, knows no better.
        """
        box = self.box
        if box.let_in:
            box.let_in, box.opened_mark = False, box.mark
            for stream in box.streams.values():
                stream.written_from = stream.next_seq
        for stream in box.streams.values():
            stream.fresh_from = stream.written_from

    def restore(self):
        super().restore()
        self.oracle.sender_restored(self.box)

    def commit(self):
        """Make everything durable, and do what waited for it."""
        for stream in self.box.streams.values():
            for seq in range(stream.durable_floor, stream.floor):
                del stream.rows[seq]
            stream.durable_floor = stream.floor
        if not self.world.calm:
            self.disk = self.box.copy()
        self.unsaved = False
        after, self.after_commit = self.after_commit, []
        for action in after:
            action()

    def session(self):
        return Session("A", self.box.store, self.box.incarnation, self.disks)

    def login(self):
        """Reconnect: learn the store, and ask for what may have happened meanwhile (R3)."""
        box = self.box
        if self.rolled_back:
            self.new_incarnation()
        if not self._logged_in((box.mark if box.let_in else box.opened_mark) + 1):
            self.new_incarnation()
            assert self._logged_in(box.mark + 1)
        self.up = box.let_in = True
        self.restored = False
        self.told = {}
        self.commit()
        self.oracle.logged_in(self.box)
        for stream in self.box.streams.values():
            if stream.floor < stream.next_seq:
                self.ask(stream)

    def _logged_in(self, mark):
        box = self.box
        box.mark, box.opened_mark = max(box.mark, mark), mark
        self.commit()
        store = self.world.server.login(self.session(), mark, continues=self.continues())
        if store is None:
            return False
        if store != box.store:
            self.forget_store(store)
        return True

    def continues(self):
        """Which streams of older incarnations are still under way, and where they end."""
        streams = self.box.streams.values()
        old = [s for s in streams if s.id != self.box.incarnation and s.floor < s.next_seq]
        return {s.id: s.next_seq for s in old}

    def new_incarnation(self):
        """R7: new messages take a new identity, what left goes on under its old msgids."""
        box = self.box
        old = box.streams.get(box.incarnation)
        box.incarnation = self.draw_incarnation()
        self.rolled_back = False
        for stream in box.streams.values():
            stream.written_from = stream.next_seq
        if old is None or old.fresh_from == old.next_seq:
            return
        stream = box.streams[box.incarnation] = OutStream(box.incarnation, old.fresh_from)
        stream.next_seq = old.next_seq
        for seq in range(old.fresh_from, old.next_seq):
            row = old.rows.pop(seq)
            stream.rows[seq] = Row(row.payload, self.newest_epoch())
            if row.cancelled:
                stream.rows[seq].cancelled = True
                self.oracle.given_up(stream.id, seq)
        old.next_seq = old.fresh_from
        old.floor = min(old.floor, old.next_seq)
