"""The judge of the model: it sees everything, and raises at the first broken promise."""

from tests.model.packets import DELIVERED, EXCUSED, SETTLED, STORED, VOID
from tests.model.state import WINDOW


class Violation(AssertionError):
    """A promise was broken."""


def demand(condition, invariant, story, *facts):
    if not condition:
        raise Violation(f"{invariant}: {story} {facts}")


class Oracle:
    """What happened in truth. Keys are (endpoint, incarnation, stream, seq) or (stream, seq)."""

    def __init__(self, world):
        self.world = world
        self.payloads = {}
        self.due = {}
        """(stream, seq) → everybody whom any stamp made due it."""
        self.stamped = {}
        """(stream, seq) → (store, epoch, who is due it) of its last transmission."""
        self.closed = {}
        """payload → why nobody must ever get it."""
        self.given = set()
        """What A gave up, so that VOID is no surprise."""
        self.ends = {}
        """stream → the lowest seq that it was ever said to end at."""
        self.floors = {}
        """stream → the highest floor ever told."""
        self.restored = set()
        """Streams whose A went on from an old copy of its store, one before their first message
        included: until it is found out, its rows are other messages under the same seqs."""
        self.voided = set()
        """(endpoint, stream, seq): void for a good reason."""
        self.commits = {}
        self.last_released = {}
        self.words = {}
        self.void_claims = set()
        self.rows = set()
        """(store, endpoint, stream, seq): were in the queue, durably."""
        self.told = set()
        """(store, endpoint, stream, seq, verdict): what S told A in its own name."""
        self.receipts = set()
        """(store, endpoint, incarnation, stream, seq, verdict): B got an ack:A for these."""

    # --- A ---

    def transmitted(self, sender, stream, seq, row):
        if row.epoch:
            msgid = stream, seq
            due = sender.due(row)
            self.due[msgid] = self.due.get(msgid, frozenset()) | due
            self.stamped[msgid] = (sender.box.store, row.epoch, due)

    def floor_told(self, stream, floor):
        self.floors[stream] = max(floor, self.floors.get(stream, 1))

    def taken(self, stream, seq, payload):
        """S took a copy."""
        before = self.payloads.setdefault((stream, seq), payload)
        demand(before == payload, "msgid", "one names two messages", (stream, seq))

    def sender_restored(self, box):
        """What A showed on its own account went with the disk, and so did the reason for it."""
        self.restored.update(box.streams, (box.incarnation,))
        self.closed.clear()

    def given_up(self, stream, seq):
        self.given.add((stream, seq))

    def withdrawn(self, payload):
        self._close(payload, "VOID without asking anybody")

    def rejected(self, payload):
        self._close(payload, "REJECTED")

    def _close(self, payload, why):
        self.closed[payload] = why
        has = [key for key, delivered in self.commits.items() if delivered == payload]
        demand(not has, "I5", f"{why} is shown for what was delivered", has)

    def learnt(self, stream, seq, endpoint, incarnation, change):
        """A recorded a verdict: ``change`` is what it knew before, and what it knows now."""
        old, verdict = change
        key = endpoint, incarnation, stream, seq
        store = self.world.sender.box.store
        if verdict == DELIVERED:
            lives = range(incarnation + 1)
            has = [i for i in lives if (endpoint, i, stream, seq) in self.commits]
            demand(has, "I3", "DELIVERED without a commit", key)
        elif verdict == VOID:
            demand(key not in self.commits, "I5", "VOID for what was committed", key)
        elif verdict == STORED:
            demand((store, endpoint, stream, seq) in self.rows, "I3", "STORED in no queue", key)
        elif verdict == SETTLED:
            demand(stream in self.restored, "R1", "a floor was told that fell again", key)
        if verdict in (STORED, EXCUSED):
            self.told.add((store, endpoint, stream, seq, verdict))
        elif verdict != SETTLED:
            demand(self.words.get(key) == verdict, "I13", "it never said so", key)
        demand(old in (None, STORED), "I4", f"{old} became {verdict}", key)

    def logged_in(self, box):
        """What A knows from S, it knows from the S that it is logged in to."""
        for stream in box.streams.values():
            for seq, row in stream.rows.items():
                for endpoint, known in row.known.items():
                    if known in (STORED, EXCUSED):
                        key = box.store, endpoint, stream.id, seq, known
                        demand(key in self.told, "I3", "of another store", key)

    def void_shown(self, stream, seq, heard_of):
        """The message shows VOID: nobody that was ever due it will have it."""
        for endpoint in self.due.get((stream, seq), ()):
            key = endpoint, heard_of.get(endpoint), stream, seq
            demand(key not in self.commits, "I5", "VOID is shown for what was delivered", key)
            self.void_claims.add(key)

    # --- B ---

    def committed(self, endpoint, incarnation, stream, seq, payload):
        key = endpoint, incarnation, stream, seq
        if payload == VOID:
            demand(self._may_be_void(endpoint, stream, seq), "I1", "void without a reason", key)
            self.voided.add((endpoint, stream, seq))
            return
        msgid = stream, seq
        demand(key not in self.commits, "I2", "committed twice", key)
        demand(key not in self.void_claims, "I5", "committed after VOID was shown", key)
        demand(payload not in self.closed, "I5", f"committed after {self.closed.get(payload)}", key)
        demand(payload == self.payloads[msgid], "msgid", "one names two messages", key)
        demand(endpoint in self.due.get(msgid, ()), "R2", "committed by whom it is not due", key)
        self.commits[key] = payload

    def has_settled(self, endpoint, stream, seq):
        """Whether some incarnation of it has the message, or was right to make it void."""
        if (endpoint, stream, seq) in self.voided:
            return True
        return any(key[:1] + key[2:] == (endpoint, stream, seq) for key in self.commits)

    def _may_be_void(self, endpoint, stream, seq):
        """Whether a message was given up, or is not due to the endpoint, or never was one."""
        sender, store = self.world.sender, self.world.server.store
        out = sender.box.streams.get(stream)
        if out is None or (stream, seq) in self.given or self.has_ended(stream, seq):
            return True
        if seq < self.floors.get(stream, 1):
            return True
        row = out.rows.get(seq)
        if row is None or not row.epoch or seq < out.floor or sender.box.store != store.epoch:
            return True
        joined = store.joined.get(endpoint)
        return joined is None or joined > row.epoch or endpoint not in sender.due(row)

    def undone(self, endpoint, box):
        """B runs on an old copy of its disk, and nobody had heard of what came after it."""
        life = endpoint, box.incarnation
        for known in (self.commits, self.words):
            for key in [key for key in known if key[:2] == life]:
                stream = box.streams.get(key[2])
                if stream is None or not stream.settled(key[3]):
                    del known[key]
        for key in [key for key in self.last_released if key[:2] == life]:
            stream = box.streams.get(key[2])
            self.last_released[key] = 0 if stream is None else stream.release_next - 1

    def said(self, endpoint, incarnation, stream, seq, verdict):
        if verdict != SETTLED:
            key = endpoint, incarnation, stream, seq
            before = self.words.setdefault(key, verdict)
            demand(before == verdict, "I8", f"said {before}, then {verdict}", key)
            has = any((endpoint, i, stream, seq) in self.commits for i in range(incarnation + 1))
            true = has if verdict == DELIVERED else key not in self.commits
            demand(true, "I3", f"{verdict} was said before it was true", key)

    def bounded(self, stream):
        demand(
            all(stream.cum < seq <= stream.cum + WINDOW for seq in stream.bits),
            "I6",
            "remembers what is beyond its window",
            (stream.cum, stream.bits),
        )
        demand(
            all(stream.floor <= seq <= stream.cum for seq in stream.voids),
            "I6",
            "remembers void seqs that it may forget",
            (stream.floor, stream.cum, stream.voids),
        )

    def released(self, endpoint, incarnation, stream, seq):
        key = endpoint, incarnation, stream
        last = self.last_released.get(key, 0)
        demand(seq > last, "I11", f"released {seq} after {last}", key)
        self.last_released[key] = seq

    # --- S ---

    def fsynced(self, store, endpoint, stream, seq):
        self.rows.add((store, endpoint, stream, seq))

    def acknowledged(self, store, endpoint, incarnation, stream, verdicts):
        """S sent an ack:A: this receipt cannot get lost any more."""
        for seq, verdict in verdicts:
            key = store, endpoint, incarnation, stream, seq, verdict
            self.receipts.add(key)
            if not self.world.calm:
                demand(self._is_kept(*key), "R3", "an ack:A for a receipt that may get lost", key)

    def _is_kept(self, _, endpoint, incarnation, stream, seq, verdict):
        """Whether a receipt row or A's disk holds what B said, or nobody needs it any more."""
        row = self.world.server.store.receipts.get((stream, endpoint))
        if row is not None and row[0] == incarnation and row[1].get(seq) == verdict:
            return True
        disk = self.world.sender.disk
        out = disk.streams.get(stream)
        if out is None or seq not in out.rows or stream in self.restored:
            return True
        if self.world.server.store.devices[endpoint].incarnation != incarnation:
            return True
        return out.rows[seq].known.get(endpoint) not in (None, STORED)

    def stream_ended(self, stream, end):
        self.ends[stream] = min(end, self.ends.get(stream, end))

    def has_ended(self, stream, seq):
        return stream in self.ends and seq >= self.ends[stream]
