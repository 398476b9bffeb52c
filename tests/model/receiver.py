"""B: the inbox and its rules (semantics §3). A mutant overrides one of these methods."""

from tests.model.device import Device
from tests.model.packets import (
    DELIVERED,
    SETTLED,
    VOID,
    AckR,
    Asks,
    CancelN,
    Ended,
    Membership,
    MsgN,
    Nudge,
    OfflineR,
    Session,
    StatusN,
)
from tests.model.state import WINDOW, Inbox, InStream


class Receiver(Device):
    """A receiving device. What it does between two commits, a crash undoes."""

    def __init__(self, world, number):
        self.number = number
        super().__init__(world)

    def new_disk(self):
        return Inbox(self.world.draw_number())

    def open(self, box):
        self.box = box
        self.opened_mark = box.mark
        self.dirty = False
        self.fresh = []
        """(stream, seq, payload): in the inbox, not durable yet; VOID has no payload."""
        self.owed = {}
        """stream → seqs to answer after the next commit."""

    def commit(self):
        """One transaction; what was promised on it leaves afterwards (I7)."""
        for stream in self.box.streams.values():
            self.release(stream)
        if self.dirty:
            self.box.mark += 1
            if not self.world.calm:
                self.disk = self.box.copy()
        self.dirty = False
        fresh, self.fresh = self.fresh, []
        for stream, seq, payload in fresh:
            self.oracle.committed(self.number, self.box.incarnation, stream, seq, payload)
            self.oracle.bounded(self.box.streams[stream])
        owed, self.owed = self.owed, {}
        for id_, seqs in owed.items():
            self.report(self.box.streams[id_], seqs)

    def session(self):
        return Session(self.number, self.box.store, self.box.incarnation, self.disks)

    def login(self):
        """R3: offer everything from floor on, once; R8: pull; PROTOCOL §5.8: ask about gaps."""
        box = self.box
        told = self._logged_in(self.box.mark if self.up else self.opened_mark)
        if told is None:
            box.incarnation = self.world.draw_number()
            told = self._logged_in(box.mark)
        elif self.restored:
            self.oracle.undone(self.number, box)
        self.restored = False
        box.store, epoch, belongs = told
        self.up = True
        self.heard_of_membership(epoch, belongs=belongs)
        for stream in box.streams.values():
            self.offer(stream)
            if stream.bits:
                self.world.network.send("S", Asks(self.session(), stream.id))
        self.commit()
        self.pull()

    def _logged_in(self, mark):
        box = self.box
        box.mark = max(box.mark, mark + 1)
        self.dirty = True
        self.commit()
        return self.world.server.login(self.session(), mark + 1)

    # --- What arrives ---

    def receive(self, packet):
        """Take a packet, or refuse to: then the hop does not ack it."""
        if not self.up or packet.store != self.box.store:
            return True
        return getattr(self, HANDLERS[type(packet)])(packet)

    def receive_msg_n(self, packet):
        stream = self._stream(packet.stream, packet.due, packet.seq)
        if stream is None:
            return False
        if not self.is_duplicate(stream, packet):
            self.settle(stream, packet.seq, DELIVERED, packet.payload)
            self.leave_no_gap(stream, packet)
        self.owe(stream, packet.seq)
        return True

    def is_duplicate(self, stream, packet):
        """R1, I2, I10: memory decides, exactly; no clock and no flag does."""
        return stream.settled(packet.seq)

    def receive_cancel_n(self, packet):
        """R4: what is not committed becomes void; a commit always wins."""
        stream = self._stream(packet.stream, packet.due, packet.seq)
        if stream is None:
            return False
        if not stream.settled(packet.seq):
            self.settle(stream, packet.seq, VOID)
        self.owe(stream, packet.seq)
        return True

    def receive_status_n(self, packet):
        stream = self._stream(packet.stream, packet.due, 0)
        self.offer(stream)
        return True

    def receive_ended(self, packet):
        """PROTOCOL §5.8: nothing more comes but what S has queued."""
        stream = self._stream(packet.stream, packet.due, 0)
        for seq in range(max(packet.end, stream.cum + 1), stream.cum + WINDOW + 1):
            if seq not in packet.queued and not stream.settled(seq):
                self.settle(stream, seq, VOID)
        return True

    def receive_membership(self, packet):
        self.heard_of_membership(packet.epoch, belongs=False)
        return True

    def receive_nudge(self, packet):
        self.pull()
        return True

    def _stream(self, id_, due, seq):
        """Find or create the stream and take over what the head says of it, or refuse."""
        stream = self.box.streams.get(id_)
        cum = due.base - 1 if stream is None else max(stream.cum, due.base - 1)
        if not self.fits(cum, seq):
            return None
        self.heard_of_membership(due.joined, belongs=True)
        if stream is None:
            stream = self.begin(id_, due)
        self.raise_floor(stream, due.floor)
        self.raise_base(stream, due.base)
        return stream

    # --- R1, R2, R5, R9 ---

    def begin(self, id_, due):
        """R2: a stream begins at base - 1; what lies between floor and base is not due to us."""
        stream = self.box.streams[id_] = InStream(id_, due.base - 1, due.floor)
        for seq in range(due.floor, due.base):
            stream.voids.add(seq)
            self.fresh.append((id_, seq, VOID))
        self.dirty = True
        return stream

    def raise_floor(self, stream, floor):
        """R1: floor lets us forget void runs, and moves nothing else."""
        if floor > stream.floor:
            stream.floor = floor
            stream.voids = {seq for seq in stream.voids if seq >= floor}
            self.dirty = True

    def raise_base(self, stream, base):
        """R2: what is open below base is not due to us."""
        self._void_below(stream, base)

    def fits(self, cum, seq):
        """R9: above cum + W nothing is taken."""
        return seq <= cum + WINDOW

    def heard_of_membership(self, epoch, *, belongs):
        """R5: who left, or was away and joined anew, voids its gaps and releases the rest."""
        store, since = self.box.since
        news = (self.box.store, epoch)
        if not self.is_news(news):
            return
        self.box.since = news
        self.dirty = True
        if since and (store == self.box.store or not belongs):
            self.close_gaps()

    def is_news(self, membership):
        """R5: notices overtake each other, so an older one must not count."""
        return membership > self.box.since

    def close_gaps(self):
        for stream in self.box.streams.values():
            self._void_below(stream, max(stream.bits, default=0))

    def leave_no_gap(self, stream, packet):
        """R5: what comes late of a membership that is over waits for nothing before it."""
        if (packet.store, packet.due.joined) < self.box.since:
            self._void_below(stream, packet.seq)

    def _void_below(self, stream, end):
        for seq in range(stream.cum + 1, end):
            if not stream.settled(seq):
                self.settle(stream, seq, VOID)

    # --- Settling, answering, releasing ---

    def settle(self, stream, seq, verdict, payload=VOID):
        """Settle one seq for ever, in the transaction of its inbox row."""
        stream.bits[seq] = verdict
        if verdict == DELIVERED:
            stream.ready.add(seq)
        self.fresh.append((stream.id, seq, payload))
        self.dirty = True
        while (seq := stream.cum + 1) in stream.bits:
            stream.cum = seq
            if stream.bits.pop(seq) == VOID and seq >= stream.floor:
                stream.voids.add(seq)

    def verdict(self, stream, seq):
        """R1, I8: the same verdict for ever, from floor on; below it nothing but SETTLED."""
        if seq < stream.floor:
            return SETTLED if stream.settled(seq) else None
        if seq <= stream.cum:
            return VOID if seq in stream.voids else DELIVERED
        return stream.bits.get(seq)

    def owe(self, stream, seq):
        """Answer after the commit of what is under way."""
        self.owed.setdefault(stream.id, set()).add(seq)

    def offer(self, stream):
        """R3: the stream's memory is the receipt."""
        seqs = range(stream.floor, max(stream.bits, default=stream.cum) + 1)
        self.owed.setdefault(stream.id, set()).update(seqs)

    def report(self, stream, seqs):
        verdicts = tuple((seq, self.verdict(stream, seq)) for seq in sorted(seqs))
        verdicts = tuple(pair for pair in verdicts if pair[1] is not None)
        if verdicts:
            for seq, verdict in verdicts:
                self.oracle.said(self.number, self.box.incarnation, stream.id, seq, verdict)
            packet = AckR(self.session(), self.number, stream.id, self.box.mark, verdicts)
            self.world.network.send("S", packet)

    def release(self, stream):
        """R9, I11: in order; a gap holds back its own stream, a void fills it."""
        while stream.settled(stream.release_next):
            seq = stream.release_next
            stream.release_next += 1
            if seq in stream.ready:
                stream.ready.discard(seq)
                self.oracle.released(self.number, self.box.incarnation, stream.id, seq)

    def pull(self):
        self.world.network.send("S", OfflineR(self.session()))


HANDLERS = {
    MsgN: "receive_msg_n",
    CancelN: "receive_cancel_n",
    StatusN: "receive_status_n",
    Ended: "receive_ended",
    Membership: "receive_membership",
    Nudge: "receive_nudge",
}
