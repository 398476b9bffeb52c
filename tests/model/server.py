"""S: two processes on one store, and their rules (semantics §3). None remembers any message.

Whether an endpoint is online, whether A is, and when a transaction becomes durable, dice decide: so
every interleaving of sessions, queue and crashes is among the schedules, and some that are none.
"""

from tests.model.packets import (
    EXCUSED,
    STORED,
    AckN,
    AckR,
    Asks,
    CancelN,
    CancelR,
    Due,
    Ended,
    GotN,
    Members,
    Membership,
    MsgA,
    MsgN,
    MsgR,
    Nudge,
    OfflineR,
    Refuse,
    StatusA,
    StatusN,
    StatusR,
)
from tests.model.processes import Processes
from tests.model.state import WINDOW, Queued, Registered


class Server(Processes):
    """The server side, whichever process it is."""

    # --- Logins and membership ---

    def login(self, session, mark, *, continues=None):
        """Register a login; None when it comes from an old copy of a store."""
        who, incarnation = session.who, session.incarnation
        device = self.store.devices.get(who)
        if device is None:
            device = self.store.devices[who] = Registered()
        elif self.is_stale(device, incarnation, mark):
            return None
        if incarnation not in device.incarnations:
            device.incarnations.append(incarnation)
        device.mark, device.continues, device.disk = mark, continues or {}, session.disk
        if who == "A":
            self.sender_logged_in(incarnation)
            return self.store.epoch
        if who not in self.store.joined and self.world.wants[who]:
            self.store.join(who)
            self.tell_members()
        belongs = who in self.store.joined
        when = self.store.joined if belongs else self.store.left
        return self.store.epoch, when.get(who, 0), belongs

    def is_stale(self, device, incarnation, mark):
        """PROTOCOL §5.8: a copy cannot know what was seen after it was made."""
        if incarnation in device.incarnations[:-1]:
            return True
        return incarnation == device.incarnation and mark <= device.mark

    def sender_logged_in(self, incarnation):
        self.tell_members()
        for stream in self.world.streams:
            for endpoint in self.store.joined:
                self.tell_end(endpoint, stream)

    def leave(self, endpoint):
        """R5: the leaver's rows go; it is told, and so is A in time."""
        self.store.leave(endpoint)
        for key in [key for key in self.store.queue if key[0] == endpoint]:
            del self.store.queue[key]
        epoch = self.store.left[endpoint]
        self.world.network.send(endpoint, Membership(self.store.epoch, epoch))
        self.tell_members()

    def tell_members(self):
        devices = [(who, d) for who, d in self.store.devices.items() if who != "A"]
        incarnations = tuple((w, d.incarnation, d.number(d.incarnation)) for w, d in devices)
        packet = Members(self.store.epoch, tuple(self.store.history), incarnations)
        self.world.network.send("A", packet)

    # --- What arrives ---

    def receive(self, packet):
        """Take a packet of a session that this store knows (R13)."""
        session = packet.session
        device = self.store.devices.get(session.who)
        if session.store != self.store.epoch or device is None:
            return True
        if (device.incarnation, device.disk) == (session.incarnation, session.disk):
            getattr(self, HANDLERS[type(packet)])(packet)
        return True

    def receive_msg_r(self, packet):
        stream, seq = packet.stream, packet.seq
        self.note_mark("A", packet.payload.mark)
        self.oracle.taken(stream, seq, packet.payload)
        if packet.refused:
            self._say(Refuse(self.store.epoch, stream, seq))
            return
        for endpoint, due in self._due(packet, packet.settled):
            if self.answers_itself(stream, endpoint, seq):
                continue
            queued = self.store.queue.get((endpoint, stream))
            if queued is None and self.world.reachable(endpoint):
                again = packet.again
                push = MsgN(self.store.epoch, stream, seq, packet.payload, due, again)
                self.world.network.send(endpoint, push)
                if not self.world.session_ends():
                    continue
            self.enqueue(packet, endpoint, due)
        self._say(MsgA(self.store.epoch, stream, seq))

    def note_mark(self, who, mark):
        """PROTOCOL §5.8: the next login of this client must be above what it was seen to do."""
        device = self.store.devices[who]
        device.mark = max(device.mark, mark)

    def receive_cancel_r(self, packet):
        """R4: a row becomes a void item, or one is inserted; who is online is told as well."""
        for endpoint, due in self._due(packet, packet.settled):
            if self.answers_itself(packet.stream, endpoint, packet.seq):
                continue
            if self.world.reachable(endpoint):
                cancel = CancelN(self.store.epoch, packet.stream, packet.seq, due)
                self.world.network.send(endpoint, cancel)
                queued = self.store.queue.get((endpoint, packet.stream))
                if queued is None or packet.seq not in queued.items:
                    continue
            self.cancel_queued(packet, endpoint, due)

    def receive_status_r(self, packet):
        """R3: answered from receipt row and queue, else B is asked."""
        self._due(packet, frozenset())
        store, stream = self.store, packet.stream
        for endpoint in sorted(set().union(*store.history)):
            asked = tuple(seq for seq in packet.asked if self._is_due(packet.head, seq, endpoint))
            for seq in asked:
                self.answers_itself(stream, endpoint, seq)
            stored = frozenset(seq for seq in asked if self.holds(endpoint, stream, seq))
            self._say(StatusA(store.epoch, stream, endpoint, asked, stored))
            due = self.due_from(packet.head, endpoint)
            if due is not None and self.world.reachable(endpoint):
                self.world.network.send(endpoint, StatusN(store.epoch, stream, due))

    def receive_got_n(self, packet):
        """R3: A's session has acknowledged ack:N, so B gets its ack:A."""
        fields = (packet.endpoint, packet.incarnation, packet.stream, packet.verdicts)
        self.oracle.acknowledged(self.store.epoch, *fields)

    def receive_ack_r(self, packet):
        """R3: rows and receipt in one transaction; ack:A after A has it, or after the commit."""
        self.note_mark(packet.session.who, packet.mark)
        endpoint = self.speaks_for(packet)
        stream, verdicts = packet.stream, packet.verdicts
        incarnation = self.store.devices[endpoint].incarnation
        fields = (endpoint, incarnation, stream, verdicts)
        keep = self.end_of(stream) != 1 and not self.world.sender_online()

        def transaction():
            self.delete_rows(endpoint, stream, verdicts)
            if keep:
                self.keep_receipt(*fields)

        def after():
            if keep:
                self.oracle.acknowledged(self.store.epoch, *fields)
            else:
                self._relay(*fields)

        self.write(transaction, after)

    def receive_asks(self, packet):
        """PROTOCOL §5.8: B waits behind a gap."""
        self.tell_end(packet.session.who, packet.stream)

    def receive_offline_r(self, packet):
        """R8: at most the W lowest of a stream; nothing is deleted before B's verdict."""
        endpoint = packet.session.who
        joined = self.store.joined.get(endpoint)
        if joined is None:
            return
        for (whose, stream), queued in list(self.store.queue.items()):
            if whose == endpoint:
                due = Due(queued.floor, queued.base, joined)
                for seq in sorted(queued.items)[:WINDOW]:
                    self.give(endpoint, stream, seq, queued.items[seq], due)

    def give(self, endpoint, stream, seq, item, due):
        """Send one item of the queue."""
        if item is None:
            packet = CancelN(self.store.epoch, stream, seq, due)
        else:
            packet = MsgN(self.store.epoch, stream, seq, item[0], due, item[1])
        self.world.network.send(endpoint, packet)

    # --- R2: who is due ---

    def _due(self, packet, settled):
        """Return the endpoints that a copy goes to, with what they are to know of the stream."""
        head, stream = packet.head, packet.stream
        if not self.knows_epochs(head):
            self.tell_members()
            return []
        self.floor_passed(stream, head.floor)
        found = []
        seqs = packet.asked if isinstance(packet, StatusR) else (packet.seq,)
        for seq in seqs:
            for endpoint in sorted(self.store.history[self.epoch_of(head, seq)] - settled):
                if not self._is_due(head, seq, endpoint):
                    self._excuse(stream, endpoint, seq)
                elif (due := self.due_from(head, endpoint)) is not None:
                    found.append((endpoint, due))
        return found

    def knows_epochs(self, head):
        """R2: S never stamps; a stamp that it does not know is A's to renew."""
        newest = len(self.store.history)
        return all(0 < epoch < newest for epoch in head.epochs.values())

    def epoch_of(self, head, seq):
        """R2: the stamp is A's, and of the first transmission."""
        return head.epochs.get(seq, 0)

    def _is_due(self, head, seq, endpoint):
        """Whether the membership that the stamp found is the present one, uninterrupted."""
        joined = self.store.joined.get(endpoint)
        epoch = self.epoch_of(head, seq)
        return joined is not None and joined <= epoch < len(self.store.history)

    def due_from(self, head, endpoint):
        """R2: base is the first seq from floor on that is due to the endpoint."""
        joined = self.store.joined.get(endpoint)
        if joined is None:
            return None
        for seq, epoch in head.epochs.items():
            if epoch >= joined:
                return Due(head.floor, seq, joined)
        return None

    def _excuse(self, stream, endpoint, seq):
        """R5: nobody waits for a member that left."""
        self._say(AckN(self.store.epoch, stream, endpoint, None, ((seq, EXCUSED),)))

    # --- R3: receipt rows ---

    def answers_itself(self, stream, endpoint, seq):
        """R3: a receipt row answers in B's place."""
        row = self.store.receipts.get((stream, endpoint))
        if row is None or not self.is_present(endpoint, row[0]) or seq not in row[1]:
            return False
        self._relay(endpoint, row[0], stream, ((seq, row[1][seq]),), kept=True)
        return True

    def is_present(self, endpoint, incarnation):
        """R7: what an older incarnation said is no answer to who asks the newer one."""
        return self.store.devices[endpoint].incarnation == incarnation

    def keep_receipt(self, endpoint, incarnation, stream, verdicts):
        """R3: B's verdicts wait for A."""
        if not self.is_present(endpoint, incarnation):
            return
        row = self.store.receipts.get((stream, endpoint))
        if row is None or row[0] != incarnation:
            row = self.store.receipts[stream, endpoint] = (incarnation, {})
        row[1].update(verdicts)

    def floor_passed(self, stream, floor):
        """R3: a receipt row dies when A's floor passes it."""
        for key, (_, verdicts) in list(self.store.receipts.items()):
            if key[0] == stream:
                for seq in [seq for seq in verdicts if seq < floor]:
                    del verdicts[seq]
                if not verdicts:
                    del self.store.receipts[key]

    def _relay(self, endpoint, incarnation, stream, verdicts, *, kept=False):
        number = self.store.devices[endpoint].number(incarnation)
        self._say(AckN(self.store.epoch, stream, endpoint, incarnation, verdicts, number))

    # --- R8: offline queue ---

    def enqueue(self, packet, endpoint, due):
        """R8: a row for who is away; after the commit A hears STORED, and B is nudged."""
        stream, seq = packet.stream, packet.seq

        def transaction():
            items = self._queued(endpoint, stream, due).items
            items.setdefault(seq, (packet.payload, packet.again))
            self.oracle.fsynced(self.store.epoch, endpoint, stream, seq)

        self.write(transaction, lambda: self.inserted(endpoint, stream, seq))

    def inserted(self, endpoint, stream, seq):
        if self.holds(endpoint, stream, seq):
            self._say(AckN(self.store.epoch, stream, endpoint, None, ((seq, STORED),)))
        self.world.network.send(endpoint, Nudge(self.store.epoch))

    def holds(self, endpoint, stream, seq):
        """R8, R9: a void item is STORED as a message is, or it would hold A's window for ever."""
        queued = self.store.queue.get((endpoint, stream))
        return queued is not None and seq in queued.items

    def cancel_queued(self, packet, endpoint, due):
        """R4: only a void item lets B say VOID."""
        stream, seq = packet.stream, packet.seq

        def transaction():
            self._queued(endpoint, stream, due).items[seq] = None
            self.oracle.fsynced(self.store.epoch, endpoint, stream, seq)

        self.write(transaction, lambda: self.inserted(endpoint, stream, seq))

    def _queued(self, endpoint, stream, due):
        queued = self.store.queue.get((endpoint, stream))
        if queued is None:
            queued = self.store.queue[endpoint, stream] = Queued()
        queued.floor = max(queued.floor, due.floor)
        queued.base = max(queued.base, due.base)
        return queued

    def delete_rows(self, endpoint, stream, verdicts):
        """R8: a row is deleted by B's verdict for its msgid."""
        queued = self.store.queue.get((endpoint, stream))
        if queued is not None:
            for seq, _ in verdicts:
                queued.items.pop(seq, None)
            if not queued.items:
                del self.store.queue[endpoint, stream]

    # --- PROTOCOL §5.8: streams that have ended ---

    def end_of(self, stream):
        """PROTOCOL §5.8: a stream ends when its sender comes back as another incarnation.

        What that one still brings to its end, it says; there the stream ends. None: it goes on.
        """
        device = self.store.devices.get("A")
        if device is None or device.incarnation == stream:
            return None
        return device.continues.get(stream, 1)

    def tell_end(self, endpoint, stream):
        end = self.end_of(stream)
        if end is None:
            return
        self.oracle.stream_ended(stream, end)
        queued = self.store.queue.get((endpoint, stream))
        items = frozenset(() if queued is None else queued.items)
        joined = self.store.joined.get(endpoint)
        if joined is not None:
            due = Due(1, 1, joined)
            self.world.network.send(endpoint, Ended(self.store.epoch, stream, end, items, due))

    # --- R13 ---

    def speaks_for(self, packet):
        """R13: only an endpoint's own session reports for it."""
        return packet.session.who

    def _say(self, packet):
        self.world.network.send("A", packet)


HANDLERS = {
    MsgR: "receive_msg_r",
    CancelR: "receive_cancel_r",
    StatusR: "receive_status_r",
    GotN: "receive_got_n",
    AckR: "receive_ack_r",
    Asks: "receive_asks",
    OfflineR: "receive_offline_r",
}
