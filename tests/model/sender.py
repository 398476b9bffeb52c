"""A: what becomes of messages (semantics §3). A mutant overrides one of these methods."""

from tests.model.packets import (
    DELIVERED,
    EXCUSED,
    SETTLED,
    STORED,
    VOID,
    AckN,
    CancelR,
    GotN,
    Head,
    Members,
    MsgA,
    MsgR,
    Payload,
    Refuse,
    StatusA,
    StatusR,
)
from tests.model.sending_device import SendingDevice
from tests.model.state import WINDOW, OutStream, Row

SETTLING = frozenset((DELIVERED, VOID, SETTLED, EXCUSED))
BY_THE_ENDPOINT = frozenset((DELIVERED, VOID, SETTLED))
NOBODY = frozenset()


class Sender(SendingDevice):
    """A sending device. What it does between two commits, a crash undoes."""

    # --- What the application does ---

    def write(self):
        """Put a message into the outbox."""
        box = self.box
        stream = box.streams.get(box.incarnation)
        if stream is None:
            stream = box.streams[box.incarnation] = OutStream(box.incarnation, 1)
        box.mark += 1
        payload = Payload(self.world.draw_number(), box.mark)
        stream.rows[stream.next_seq] = Row(payload, self.newest_epoch())
        stream.next_seq += 1
        self.unsaved = True

    def cancel(self, stream, seq):
        """R4: A concludes VOID alone only for what never left, else it asks the endpoints."""
        row = stream.rows[seq]
        if row.cancelled:
            return
        row.cancelled = self.unsaved = True
        self.oracle.given_up(stream.id, seq)
        if self.never_left(stream, seq) and not row.delivered:
            self.after_commit.append(lambda: self.oracle.withdrawn(row.payload))

    def never_left(self, stream, seq):
        """R4: only what this process wrote itself is known not to have left.

        The disk alone is no evidence: it may be an old copy.
        """
        return seq >= stream.fresh_from

    # --- R1: floor ---

    def settled(self, row):
        """R1: every endpoint due it has reported, or is excused."""
        if not row.epoch:
            return False
        known = row.known
        return all(known.get(e) in SETTLING for e in self.due(row))

    def advance_floor(self, stream):
        while stream.floor < stream.next_seq and self.settled(stream.rows[stream.floor]):
            stream.floor += 1

    def floor_told(self, stream):
        """R1: a floor that a crash could take back must not be told."""
        return stream.durable_floor

    # --- R2: who is due ---

    def newest_epoch(self):
        return max(0, len(self.box.history) - 1)

    def due(self, row):
        return self.box.history[row.epoch] if row.epoch else NOBODY

    def forget_store(self, store):
        """R2, R3: under another store epochs start over, and nothing is STORED or EXCUSED."""
        for stream in self.box.streams.values():
            for row in stream.rows.values():
                if row.epoch:
                    row.was_due = frozenset(self.due(row))
                row.epoch = 0
                row.known = {e: v for e, v in row.known.items() if self.outlives_store(v)}
        self.box.store, self.box.history = store, ()
        self.forget_numbers()

    def forget_numbers(self):
        """R7: another store numbers incarnations from the beginning."""
        self.box.numbers.clear()

    def outlives_store(self, verdict):
        """R3: STORED is a lease of one store; so is EXCUSED, for its membership is gone, too."""
        return verdict in BY_THE_ENDPOINT

    def receive_members(self, packet):
        """R2: take over the history; stamp what S does not know with its newest epoch."""
        if len(packet.history) > len(self.box.history):
            self.box.history = packet.history
            for stream in self.box.streams.values():
                for row in stream.rows.values():
                    if not row.epoch:
                        self.stamp(row)
        for news in packet.incarnations:
            self.heard_from(*news)
        self._refresh()

    def stamp(self, row):
        self.unsaved = True
        row.epoch = self.newest_epoch()
        forgotten = row.was_due - self.due(row)
        if any(row.known.get(e) not in BY_THE_ENDPOINT for e in forgotten):
            row.doubtful = True

    # --- R9: window ---

    def covered(self, row):
        """R9: settled or STORED at every endpoint due it."""
        return row.epoch and all(e in row.known for e in self.due(row))

    def may_transmit(self, stream, seq):
        g = stream.floor
        while g < stream.next_seq and self.covered(stream.rows[g]):
            g += 1
        return seq < g + WINDOW

    # --- What leaves ---

    def transmit(self, stream, seq):
        """Send a message, or the cancel of one given up, to whom it may concern."""
        row = stream.rows[seq]
        if not self.may_transmit(stream, seq) or self.settled(row):
            return
        needless = self.needs_no_copy(row)
        if not row.cancelled and row.epoch and needless >= self.due(row):
            return
        again = row.copies > 0
        if not row.cancelled:
            self.count_copy(row)
            stream.fresh_from = max(stream.fresh_from, seq + 1)
        self.before_transmission()
        head = self._head(stream)
        if row.cancelled:
            packet = CancelR(self.session(), stream.id, seq, head, needless)
        else:
            refused = self.world.refuses()
            self.oracle.transmitted(self, stream.id, seq, row)
            fields = (self.session(), stream.id, seq, row.payload, head, needless)
            packet = MsgR(*fields, again, refused)
        self.world.network.send("S", packet)

    def count_copy(self, row):
        """R6 asks whether there was another copy, and no more."""
        if row.copies < 2:
            row.copies += 1
            self.unsaved = True

    def before_transmission(self):
        """R1, R2: row, stamp and count of copies are durable before anything leaves."""
        if self.unsaved:
            self.commit()

    def needs_no_copy(self, row):
        """R3: while STORED no payload is sent again; a cancel is, to be answered by B (R4)."""
        known = row.known
        if row.cancelled:
            return frozenset(e for e, v in known.items() if v != STORED)
        return frozenset(known)

    def ask(self, stream):
        asked = tuple(range(stream.floor, stream.next_seq))
        self.before_transmission()
        packet = StatusR(self.session(), stream.id, asked, self._head(stream))
        self.world.network.send("S", packet)

    def _head(self, stream):
        floor = self.told[stream.id] = self.floor_told(stream)
        rows = stream.rows
        self.oracle.floor_told(stream.id, floor)
        epochs = {seq: rows[seq].epoch for seq in range(floor, stream.next_seq)}
        self.tell_next(stream, epochs)
        return Head(floor, epochs)

    def tell_next(self, stream, epochs):
        """R2: the next message will bear no older stamp, so who is due nothing yet has a base."""
        epochs[stream.next_seq] = self.newest_epoch()

    # --- What arrives ---

    def receive(self, packet):
        if self.up and packet.store == self.box.store:
            getattr(self, HANDLERS[type(packet)])(packet)
        return True

    def receive_msg_a(self, packet):
        """ACCEPTED: shown, and nothing else (I9)."""
        row = self._row(packet.stream, packet.seq)
        if row is not None:
            row.accepted = True

    def receive_refuse(self, packet):
        """R6: a refusal is about a copy."""
        row = self._row(packet.stream, packet.seq)
        if row is None or row.cancelled or self.settled(row):
            return
        row.cancelled = self.unsaved = True
        self.oracle.given_up(packet.stream, packet.seq)
        if self.refusal_is_final(packet.stream, packet.seq) and not row.delivered:
            self.after_commit.append(lambda: self.oracle.rejected(row.payload))

    def refusal_is_final(self, stream, seq):
        """R6: only if no other copy was ever transmitted."""
        stream = self.box.streams[stream]
        return seq >= stream.written_from and stream.rows[seq].copies == 1

    def receive_ack_n(self, packet):
        stream = self.box.streams.get(packet.stream)
        if stream is None:
            return
        endpoint = packet.endpoint
        if packet.incarnation is not None:
            if max(seq for seq, _ in packet.verdicts) >= stream.next_seq:
                self.rolled_back |= stream.id == self.box.incarnation
                return
            if not self.heard_from(endpoint, packet.incarnation, packet.number):
                return
        for seq, verdict in packet.verdicts:
            row = stream.rows.get(seq)
            if row is not None and seq >= stream.floor:
                self.take_verdict(stream, seq, endpoint, verdict)
        if packet.incarnation is not None:
            self.recorded(packet)
            self.tell_floor(stream, packet.verdicts)
        self._refresh()

    def heard_from(self, endpoint, incarnation, number):
        """R7: a newer incarnation knows nothing; an older one says nothing any more."""
        box = self.box
        known = box.incarnations.get(endpoint)
        if self.is_older(endpoint, incarnation, number):
            return False
        box.incarnations[endpoint], box.numbers[endpoint] = incarnation, number
        if known not in (None, incarnation):
            self.forget_confirmations(endpoint)
        return True

    def is_older(self, endpoint, incarnation, number):
        """R7: by the order in which S came to know them; that of their drawing says nothing."""
        return number < self.box.numbers.get(endpoint, 0)

    def forget_confirmations(self, endpoint):
        """R7: what it confirmed from floor on goes out again; what was shown stays shown."""
        for stream in self.box.streams.values():
            for seq in range(stream.floor, stream.next_seq):
                known = stream.rows[seq].known
                if known.get(endpoint) in BY_THE_ENDPOINT:
                    del known[endpoint]

    def take_verdict(self, stream, seq, endpoint, verdict):
        row = stream.rows[seq]
        if verdict == DELIVERED and not row.delivered:
            row.delivered = True
        if endpoint not in self.due(row) and not self.counts_early(verdict):
            return
        old = row.known.get(endpoint)
        if not self.rises(old, verdict):
            return
        row.known[endpoint] = verdict
        incarnation = self.box.incarnations.get(endpoint)
        self.oracle.learnt(stream.id, seq, endpoint, incarnation, (old, verdict))
        if verdict == VOID and self.shows_void(row):
            heard_of = self.box.incarnations.copy()
            self.after_commit.append(lambda: self.oracle.void_shown(stream.id, seq, heard_of))

    def rises(self, old, verdict):
        """I4: a late lower verdict changes nothing."""
        return old is None or (old == STORED and verdict != STORED)

    def counts_early(self, verdict):
        """R3: B's word holds even where A does not know yet, or no more, that B is a member."""
        return verdict in BY_THE_ENDPOINT

    def shows_void(self, row):
        """§2: only when every endpoint due it is VOID, and none can have it that is forgotten."""
        known = row.known
        everywhere = all(known.get(e) == VOID for e in self.due(row))
        return row.epoch and everywhere and not row.delivered and not row.doubtful

    def recorded(self, packet):
        """R3: ack:N is acknowledged when what it says is durable; only then B gets its ack:A."""
        fields = (packet.stream, packet.endpoint, packet.incarnation, packet.verdicts)
        got = GotN(self.session(), *fields)
        self.after_commit.append(lambda: self.world.network.send("S", got))

    def tell_floor(self, stream, verdicts):
        """PROTOCOL §5.8: who offers only what is below our floor has not heard of it."""
        floor = stream.durable_floor
        if max(seq for seq, _ in verdicts) < floor and not self.was_told(stream, floor):
            self.ask(stream)

    def was_told(self, stream, floor):
        """PROTOCOL §5.8: S knows it since our login, and passes it on to who needs it."""
        return self.told.get(stream.id, 1) >= floor

    def receive_status_a(self, packet):
        """R3: what is not found falls back to PENDING, and is sent again."""
        stream = self.box.streams.get(packet.stream)
        if stream is None:
            return
        for seq in packet.asked:
            row = stream.rows.get(seq)
            if row is not None and seq >= stream.floor and seq not in packet.stored:
                self.lease_over(row, packet.endpoint)

    def lease_over(self, row, endpoint):
        if row.known.get(endpoint) == STORED:
            del row.known[endpoint]

    # --- Helpers ---

    def _row(self, stream, seq):
        """Return an open row."""
        stream = self.box.streams.get(stream)
        return None if stream is None or seq < stream.floor else stream.rows.get(seq)

    def _refresh(self):
        for stream in self.box.streams.values():
            self.advance_floor(stream)


HANDLERS = {
    MsgA: "receive_msg_a",
    Refuse: "receive_refuse",
    Members: "receive_members",
    AckN: "receive_ack_n",
    StatusA: "receive_status_a",
}
