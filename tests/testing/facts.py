"""Histories made by hand: one message that went well, for tests that then break one fact."""

from udpim.im.records import DeviceRecord, PutDevice
from udpim.model import Endpoint, MessageState, MsgId, StreamId
from udpim.testing.clock import VirtualClock
from udpim.testing.facts import SERVER, SeenFrame
from udpim.testing.history import History
from udpim.wire import im_packets as p
from udpim.wire.im_codec import encode_section

ALICE, BOB = Endpoint("alice", "phone"), Endpoint("bob", "phone")
STREAM = StreamId("alice", "phone", 7, "bob")
ONE = MsgId(STREAM, 1)
INCARNATION = 9
EPOCH = 5
INBOX = (BOB, INCARNATION)
RUN = ((1, 1),)


def frame(history, packet, source, destination, *, arrives=True):
    """Let an IM packet be sent, and arrive."""
    section = getattr(packet, "section", None)
    seen = SeenFrame(
        sent=history.tick(),
        at=history.clock.now,
        source=source,
        destination=destination,
        connection=destination.encode(),
        packet=packet,
        stream=STREAM,
        incarnation=INCARNATION if "bob" in source + destination else 7,
        size=0 if section is None else 3 * section.count,
    )
    history.frames.append(seen)
    if arrives:
        seen.arrived = history.tick()
    return seen


def msg_r(floor=1, first=1, epoch=1):
    section = encode_section(first, [1], [b"one"])
    return p.MsgR(1, STREAM, floor, (p.EpochRun(1, epoch),), 0, section)


def went_well():
    """Alice's message to bob: every fact of the six-packet exchange, in order."""
    history = History(VirtualClock())
    history.store_epoch = EPOCH
    history.incarnations.update({ALICE: 7, BOB: INCARNATION})
    record = DeviceRecord("bob", "phone", 0, 1, INCARNATION, (), 1, renewed=1)
    history.lines[EPOCH].apply(PutDevice(record), history.tick())
    history.on_send(STREAM, 1, [b"one"])
    history.rows[ONE] = (history.tick(), b"one")
    history.epochs[ONE] = 1
    history.on_accepted(ONE)
    frame(history, msg_r(), "alice/phone", SERVER)
    frame(history, p.MsgA(1, 0, RUN), SERVER, "alice/phone")
    history.on_shown(ONE, MessageState.ACCEPTED, 1)
    section = encode_section(1, [1], [b"one"])
    frame(history, p.MsgN(1, STREAM, 1, 1, section), SERVER, "bob/phone")
    history.commits[INBOX, ONE].append(history.tick())
    history.on_handover(BOB, 1, ONE, b"one")
    frame(history, p.AckR(1, STREAM, False, RUN, ()), "bob/phone", SERVER)
    ack_n = p.AckN(1, STREAM, 0, INCARNATION, EPOCH, RUN, (), (), ())
    frame(history, ack_n, SERVER, "alice/phone")
    history.on_shown(ONE, MessageState.DELIVERED, 1)
    history.trims.append((history.tick(), ONE, EPOCH, 1))
    frame(history, p.AckA(1, RUN), SERVER, "bob/phone")
    return history
