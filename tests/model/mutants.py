"""What the model is for: every rule with one thing wrong, each of which some schedule must find.

A mutant is a player with one method overridden. Nothing of it is in the rules themselves.
"""

from typing import NamedTuple

from tests.model.packets import DELIVERED, EXCUSED, SETTLED, STORED, VOID, AckN, Due
from tests.model.receiver import Receiver
from tests.model.schedule import Rules
from tests.model.sender import SETTLING, Sender
from tests.model.server import Server
from tests.model.state import WINDOW


class Mutant(NamedTuple):
    name: str
    rule: str
    breaks: str
    seed: int  # the first schedule that finds it
    rules: Rules


MUTANTS = []


def mutant(rule, breaks, *, seed=0):
    """Register a player that breaks a rule."""

    def register(player):
        place = next(p for p in (Sender, Receiver, Server) if issubclass(player, p))
        rules = Rules(**{place.__name__.lower(): player})
        MUTANTS.append(Mutant(player.__name__, rule, breaks, seed, rules))
        return player

    return register


# --- R1: floor ---


@mutant("R1", "floor passes what any endpoint settled", seed=76)
class FloorWhenAnySettled(Sender):
    def settled(self, row):
        due = self.due(row)
        return bool(due) and any(row.known.get(e) in SETTLING for e in due)


@mutant("R1", "floor raises cum, as base should", seed=550)
class FloorRaisesCum(Receiver):
    def raise_base(self, stream, base):
        super().raise_base(stream, stream.floor)


@mutant("R1", "a floor is told that is not durable", seed=13)
class FloorToldTooEarly(Sender):
    def floor_told(self, stream):
        return stream.floor


@mutant("R1", "below floor B says DELIVERED", seed=1)
class DeliveredBelowFloor(Receiver):
    def verdict(self, stream, seq):
        return DELIVERED if seq < stream.floor else super().verdict(stream, seq)


@mutant("R1", "a message leaves before its row is durable", seed=208)
class TransmissionBeforeCommit(Sender):
    def before_transmission(self):
        pass


# --- R2: epochs and base ---


@mutant("R2", "S stamps the epoch", seed=6)
class ServerStamps(Server):
    def epoch_of(self, head, seq):
        return len(self.store.history) - 1


@mutant("R2", "there is no base", seed=2)
class NoBase(Server):
    def due_from(self, head, endpoint):
        due = super().due_from(head, endpoint)
        return None if due is None else Due(due.floor, 1, due.joined)


@mutant("R2", "what lies below the first base counts as delivered", seed=4)
class BelowBaseIsDelivered(Receiver):
    def begin(self, id_, due):
        stream = super().begin(id_, due)
        stream.voids.clear()
        return stream


@mutant("R2", "a base that rises later is ignored", seed=14)
class BaseNeverRises(Receiver):
    def raise_base(self, stream, base):
        pass


@mutant("R2", "nobody hears where the next message begins", seed=222)
class NextNotTold(Sender):
    def tell_next(self, stream, epochs):
        pass


@mutant("R2", "stamps outlive the store that they came from", seed=9)
class StampsOutliveTheStore(Sender):
    def forget_store(self, store):
        self.box.store = store


# --- R3: receipts ---


@mutant("R3", "msg:A empties the outbox", seed=8)
class AcceptedEmptiesTheOutbox(Sender):
    def receive_msg_a(self, packet):
        row = self._row(packet.stream, packet.seq)
        if row is not None:
            for endpoint in self.due(row):
                row.known.setdefault(endpoint, SETTLED)
            self._refresh()


@mutant("R3", "S keeps no receipt row", seed=1)
class NoReceiptRow(Server):
    def keep_receipt(self, *fields):
        pass


@mutant("R3", "ack:A is sent before A has recorded the receipt", seed=53)
class AckABeforeRecorded(Sender):
    def recorded(self, packet):
        super().recorded(packet)
        self.after_commit.pop()()


@mutant("R3", "a receipt leaves before B's commit")
class ReceiptBeforeCommit(Receiver):
    def owe(self, stream, seq):
        self.report(stream, {seq})


@mutant("R3", "B marks a message before it persists it", seed=65)
class MarkBeforePersist(Receiver):
    def receive(self, packet):
        taken = super().receive(packet)
        self.disk = self.box.copy()
        return taken


@mutant("R3", "STORED is said before the fsync", seed=8)
class StoredBeforeFsync(Server):
    def enqueue(self, packet, endpoint, due):
        stored = ((packet.seq, STORED),)
        self._say(AckN(self.store.epoch, packet.stream, endpoint, None, stored))
        super().enqueue(packet, endpoint, due)


@mutant("R3", "STORED outlives its store", seed=9)
class StoredOutlivesTheStore(Sender):
    def outlives_store(self, verdict):
        return verdict != EXCUSED


@mutant("R3", "STORED is never asked about again", seed=68)
class LeaseForEver(Sender):
    def lease_over(self, row, endpoint):
        pass


@mutant("R3", "a receipt counts only while A takes B for a member", seed=148)
class ReceiptTooEarlyIsDropped(Sender):
    def counts_early(self, verdict):
        return False


@mutant("R3", "a late lower verdict steps down")
class StepsDown(Sender):
    def rises(self, old, verdict):
        return old != verdict


# --- R4: giving up ---


@mutant("R4", "S says VOID for what nobody pulled from its queue")
class ServerSaysVoid(Server):
    def cancel_queued(self, packet, endpoint, due):
        super().cancel_queued(packet, endpoint, due)
        incarnation = self.store.devices[endpoint].incarnation
        self._relay(endpoint, incarnation, packet.stream, ((packet.seq, VOID),))


@mutant("R4", "a cancel only deletes the queue row")
class CancelDeletesTheRow(Server):
    def cancel_queued(self, packet, endpoint, due):
        fields = endpoint, packet.stream, ((packet.seq, VOID),)
        self.write(lambda: self.delete_rows(*fields), lambda: None)


@mutant("R4", "a cancel beats a commit", seed=56)
class CancelBeatsCommit(Receiver):
    def receive_cancel_n(self, packet):
        stream = self.box.streams.get(packet.stream)
        if stream is not None and packet.seq in stream.bits:
            stream.bits[packet.seq] = VOID
        return super().receive_cancel_n(packet)


@mutant("R4", "A takes the disk's word that nothing left", seed=923)
class DiskSaysNothingLeft(Sender):
    def never_left(self, stream, seq):
        return stream.rows[seq].copies == 0


@mutant("R4", "a message shows VOID when one endpoint says so", seed=35)
class VoidWhenAny(Sender):
    def shows_void(self, row):
        return not row.delivered


@mutant("R4", "nobody doubts for endpoints that the new store does not know", seed=138)
class NoDoubt(Sender):
    def shows_void(self, row):
        return row.epoch and all(row.known.get(e) == VOID for e in self.due(row))


# --- R5: leaving ---


@mutant("R5", "a leaver's gaps are not closed", seed=38)
class LeaverKeepsGaps(Receiver):
    def close_gaps(self):
        pass


@mutant("R5", "what comes after the leaving waits behind a gap", seed=35)
class LateCopiesWait(Receiver):
    def leave_no_gap(self, stream, packet):
        pass


@mutant("R5", "a notice of leaving counts after the joining that followed it", seed=6691)
class OldNoticeCounts(Receiver):
    def is_news(self, membership):
        return membership != self.box.since


@mutant("R5", "who left is not excused", seed=11)
class NobodyIsExcused(Server):
    def _excuse(self, stream, endpoint, seq):
        pass


@mutant("R5", "EXCUSED outlives its store", seed=123)
class ExcusedOutlivesTheStore(Sender):
    def outlives_store(self, verdict):
        return verdict != STORED


# --- R6: refusals ---


@mutant("R6", "any refusal is final", seed=27)
class AnyRefusalIsFinal(Sender):
    def refusal_is_final(self, stream, seq):
        return True


# --- R7: incarnations ---


@mutant("R7", "a newer incarnation inherits what the older one confirmed", seed=659)
class ConfirmationsAreInherited(Sender):
    def forget_confirmations(self, endpoint):
        pass


@mutant("R7", "an older incarnation still speaks", seed=583)
class OldIncarnationSpeaks(Sender):
    def heard_from(self, endpoint, incarnation, number):
        super().heard_from(endpoint, incarnation, number)
        return True


@mutant("R7", "the incarnation drawn later is the newer one", seed=15035)
class DrawnLaterIsNewer(Sender):
    def is_older(self, endpoint, incarnation, number):
        return incarnation < self.box.incarnations.get(endpoint, 0)


@mutant("R7", "numbers of incarnations outlive the store that gave them", seed=13)
class NumbersOutliveTheStore(Sender):
    def forget_numbers(self):
        pass


@mutant("R7", "a receipt row of an older incarnation answers for the newer one", seed=100)
class OldReceiptRowAnswers(Server):
    def is_present(self, endpoint, incarnation):
        return True


@mutant("R7", "old copies of a store are not found out", seed=42)
class OldCopiesLogIn(Server):
    def is_stale(self, device, incarnation, mark):
        return False


@mutant("R7", "S notes the marks of messages, and not those of receipts", seed=256)
class ReceiptsBearNoMark(Server):
    def note_mark(self, who, mark):
        if who == "A":
            super().note_mark(who, mark)


@mutant("R7", "after a restart nobody knows any more what was written since the copy", seed=1054)
class OpeningIsForgotten(Sender):
    def note_the_opening(self):
        self.box.let_in = True
        super().note_the_opening()


@mutant("R7", "a stream never ends", seed=8)
class StreamsNeverEnd(Server):
    def end_of(self, stream):
        return None


@mutant("R7", "a stream goes on while anything of its sender's old life does", seed=267)
class StreamsEndTooLate(Server):
    def end_of(self, stream):
        device = self.store.devices.get("A")
        return None if device is None or device.continues else super().end_of(stream)


@mutant("R7", "who offers old receipts is not told the floor", seed=669)
class FloorIsNotTold(Sender):
    def tell_floor(self, stream, verdicts):
        pass


@mutant("R7", "the same floor is told for every receipt below it", seed=7178)
class FloorIsToldAgain(Sender):
    def was_told(self, stream, floor):
        return False


# --- R8: offline queue ---


@mutant("R8", "a pulled item counts as delivered, whatever B said")
class PulledIsDelivered(Server):
    def delete_rows(self, endpoint, stream, verdicts):
        queued = self.store.queue.get((endpoint, stream))
        incarnation = self.store.devices[endpoint].incarnation
        for seq, _ in verdicts:
            if queued is not None and seq in queued.items:
                self._relay(endpoint, incarnation, stream, ((seq, DELIVERED),))
        super().delete_rows(endpoint, stream, verdicts)


@mutant("R8", "a row is deleted when it is pulled", seed=78)
class PullDeletes(Server):
    def give(self, endpoint, stream, seq, item, due):
        super().give(endpoint, stream, seq, item, due)
        self.delete_rows(endpoint, stream, ((seq, None),))


@mutant("R8", "below floor B says nothing, so the row stays", seed=1)
class NothingBelowFloor(Receiver):
    def verdict(self, stream, seq):
        return None if seq < stream.floor else super().verdict(stream, seq)


# --- R9: window and order ---


@mutant("R9", "B takes what is beyond its window", seed=21)
class EverythingFits(Receiver):
    def fits(self, cum, seq):
        return True


@mutant("R9", "what is STORED holds the window")
class StoredHoldsTheWindow(Sender):
    def covered(self, row):
        return self.settled(row)


@mutant("R9", "a void item holds the window for ever", seed=16)
class VoidItemHoldsTheWindow(Server):
    def holds(self, endpoint, stream, seq):
        queued = self.store.queue.get((endpoint, stream))
        return queued is not None and queued.items.get(seq) is not None


@mutant("R9", "B remembers a bitmap over floor … floor + W")
class BitmapFromFloor(Receiver):
    def fits(self, cum, seq):
        floor = max((s.floor for s in self.box.streams.values()), default=seq)
        return super().fits(cum, seq) and seq < floor + WINDOW


@mutant("R9", "B remembers a bitmap of W below the highest", seed=4)
class BitmapBelowHighest(Receiver):
    def is_duplicate(self, stream, packet):
        highest = max(stream.bits, default=stream.cum)
        return stream.settled(packet.seq) and packet.seq > highest - WINDOW


@mutant("R9", "B remembers cum alone")
class CumAlone(Receiver):
    def settle(self, stream, seq, verdict, payload=VOID):
        super().settle(stream, seq, verdict, payload)
        stream.cum = max(stream.cum, seq)
        stream.bits.clear()


@mutant("R9", "messages are released as they arrive", seed=4)
class ReleasedOnArrival(Receiver):
    def release(self, stream):
        for seq in sorted(stream.ready):
            self.oracle.released(self.number, self.box.incarnation, stream.id, seq)
        stream.ready.clear()


# --- I2, I10, R13 ---


@mutant("I2", "B forgets what it has after a while")
class ForgetfulDedup(Receiver):
    def crash(self):
        super().crash()
        self.box.streams.clear()


@mutant("I10", "a retransmission is taken for something that B has", seed=1)
class FlagIsEvidence(Receiver):
    def is_duplicate(self, stream, packet):
        if packet.again and not stream.settled(packet.seq):
            stream.bits[packet.seq] = DELIVERED
        return super().is_duplicate(stream, packet)


@mutant("R13", "S believes whom a receipt claims to be from", seed=75)
class ClaimsAreBelieved(Server):
    def speaks_for(self, packet):
        return packet.claims if packet.claims in self.store.devices else packet.session.who
