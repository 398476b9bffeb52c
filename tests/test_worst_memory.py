"""What `Limits` says that a full table takes holds against what Python allocates for one.

Bytes are counted, not time. An estimate must not be below the measurement, nor many times above.
"""

import gc
import tracemalloc
from collections import deque

import pytest

from tests.hop.pair import CLIENT, connect, packet_to
from tests.im.helpers import EPOCH, STREAM, Receiver, Sender, member, run_of, section
from udpim import config, costs
from udpim.config import Limits, about
from udpim.hop.cids import CIDS_MAX
from udpim.hop.codes import Role
from udpim.hop.reassembly import Reassembly
from udpim.im.aside import WORDS_CHARS_MAX, Aside, fit_words
from udpim.im.backlog import Backlog
from udpim.im.devices import Registry
from udpim.im.handles import OutHandles
from udpim.im.history import HISTORY_RUNS_MAX
from udpim.im.in_stream import InStream
from udpim.im.offline_queue import OfflineQueue
from udpim.im.out_stream import OutStream
from udpim.im.records import AsideRow, DeviceRecord, InStreamRecord, OutMember, OutStreamRecord
from udpim.im.session import Named, Session
from udpim.model import Endpoint, StreamId
from udpim.node.link import Link
from udpim.node.rates import SenderRates
from udpim.wire.frames import FRAGMENT_BYTES_MIN, encode_ack, encode_new_cid
from udpim.wire.im_packets import Members, MsgN, MsgR, SignalN

FACTOR_MAX = 6
"""How far an estimate may be above: entries of one table differ, and so do versions of Python."""
PAYLOAD_BYTES = 1000


def name_of(number):
    """The longest names, none of them shared."""
    digits = f"{number:031}"
    return StreamId(f"u{digits}", f"d{digits}", 2**63 + number, f"c{digits}")


def idle_connection():
    """A server's, which has given its peer spare ids and has some of it."""
    connection = connect(Role.SERVER, spare_ids=True)
    given = [encode_new_cid(n, b"spare%03d" % n, b"") for n in range(1, CIDS_MAX)]
    for number, frames in enumerate((given, [encode_ack(0, 0, 0, 0)])):
        packet = connection.receive_packet(packet_to(connection, number, *frames), CLIENT, 1.0)
        connection.take(packet, 1.0)
        connection.datagrams_to_send(1.0)
    assert (CIDS_MAX, 0) == (len(connection.local_cids), connection.in_flight_frames)
    return connection


def sessions(count):
    """Idle connections with their sessions."""
    links = []
    for number in range(count):
        link = Link(idle_connection(), 1.0)
        link.session = Session(Endpoint(f"user{number}", "d"), number, lambda: 0.0, {})
        links.append(link)
    return links, count * costs.SESSION_BYTES


def outbox(count):
    """Messages, each with a deadline and a flight that waits for its receipt."""
    a = Sender()
    for number in range(count):
        a.send(bytes([number % 256]) * PAYLOAD_BYTES, ttl_s=9.0)
    a.outbox.take_ops(), a.outbox.on_committed()
    a.outbox.session_started(OutHandles(), EPOCH, 0.0)
    stream = a.outbox.stream(STREAM)
    a.outbox.receive_members(stream, Members(1, None, True, EPOCH, 1, (member(0),)))
    a.outbox.take_ops(), a.outbox.on_committed()
    flights = []
    a.outbox.transmit(lambda packet, flight: flights.append(flight), count)
    for flight in flights:
        a.outbox.on_acked(flight, 1.0)
    size_bytes = count * PAYLOAD_BYTES
    limits = Limits(
        outbox_messages_max=count, outbox_bytes_max=size_bytes, payload_bytes_max=PAYLOAD_BYTES
    )
    names = ("outbox_messages_max", "outbox_bytes_max")
    return a.outbox, sum(about(name).worst(limits) for name in names)


def inbox(count):
    """Messages that the application has not seen."""
    b = Receiver()
    for seq in range(1, count + 1):
        b.inbox.receive_msg_n(STREAM, MsgN(1, STREAM, 1, 1, section(seq, bytes(PAYLOAD_BYTES))))
        b.inbox.take_ops(), b.inbox.on_committed()
    limits = Limits(inbox_messages_max=count, inbox_bytes_max=count * PAYLOAD_BYTES)
    names = ("inbox_messages_max", "inbox_bytes_max")
    return b.inbox, sum(about(name).worst(limits) for name in names)


def aside(count):
    """Messages that were set aside, each for a long reason of wide characters."""
    limits = Limits(aside_messages_max=count, aside_bytes_max=count * PAYLOAD_BYTES)
    book = Aside((), Backlog(limits), durable=False, limits=limits)
    for seq in range(count):
        words = fit_words(chr(0x1F600 + seq % 50) * WORDS_CHARS_MAX)
        book.put(AsideRow(STREAM, seq, 2**60 + seq, bytes([seq % 256]) * PAYLOAD_BYTES, words))
    names = ("aside_messages_max", "aside_bytes_max")
    return book, sum(about(name).worst(limits) for name in names)


def incoming_streams(count):
    """What a recipient remembers of streams with as many voids as there may be."""
    voids = tuple((2 * seq, 2 * seq) for seq in range(1, config.VOID_RUNS_MAX + 1))
    bits = 2 ** (config.WINDOW - 1)
    records = [InStreamRecord(name_of(n), 5000, bits, bits >> 1, 1, voids) for n in range(count)]
    estimate = about("streams_per_user_max").worst(Limits(streams_per_user_max=count))
    return list(map(InStream, records)), estimate


def conversations(count):
    """What a sender remembers of streams with as much history as there may be."""
    runs = [tuple((3 * n, 3 * n) for n in range(1, HISTORY_RUNS_MAX // 4)) for _ in range(4)]
    view = OutMember("u" * 32, "d" * 32, 0, 2**63, 1, 1, 0, runs[0], runs[1], (), ())
    streams = []
    for n in range(count):
        record = OutStreamRecord(n, 1, f"c{n}", 9000, 9000, 1, 1, (view,), runs[2], (), runs[3])
        streams.append(OutStream(name_of(n), record))
    return streams, count * costs.CONVERSATION_BYTES


def pushes(count):
    """Messages that were pushed one by one, and wait for the client's window."""
    session, connection = Session(Endpoint("u", "d"), 1, lambda: 0.0, {}), connect(Role.SERVER)
    for number in range(1, count + 1):
        packet = run_of(2 * number, 2 * number)
        session.pushed(STREAM, (1, 1), packet)
        connection.send_frame(bytes(packet.raw), Named(STREAM), 1.0, bulk=True)
    estimate = about("session_messages_max").worst(Limits(session_messages_max=count))
    return (session, connection), estimate


def named_streams(count):
    """Streams that were named both ways on one connection, and pushed."""
    session = Session(Endpoint("u", "d"), 1, lambda: 0.0, {})
    for number in range(count):
        stream = name_of(number)
        session.inbound.resolve(number, stream), session.outbound.of(stream)
        session.outbound.confirm(stream), session.telling.add(stream)
        session.told[stream] = number
        session.pushed(stream, (1, 1), run_of(1, 1))
    limits = Limits()
    worst = about("streams_per_session_max").worst(limits)
    return session, worst * count // limits.streams_per_session_max


def waiting_frames(count):
    """Full frames that wait for transmission."""
    connection = connect(Role.SERVER)
    for number in range(count):
        connection.send_frame(bytes(1000) + b"%d" % number, Named(name_of(number)), 1.0)
    limits = Limits(send_queue_frames_max=count, hop_frames_max=1)
    return connection, about("send_queue_frames_max").worst(limits)


def signals(count):
    """Signals that wait for a link, and as many that wait for an application."""
    link, application = connect(Role.CLIENT), deque()
    for number in range(count):
        link.send_datagram(bytes(1000) + b"%d" % number, 1.0)
        names = name_of(number)
        arrived = SignalN(
            names.user, names.device, names.conversation, bytes(1000) + b"%d" % number
        )
        application.append((float(number), arrived))
    estimate = about("signals_waiting_max").worst(Limits(signals_waiting_max=count))
    return (link, application), estimate


def pieces(count):
    """Bodies of which one piece has come, the smallest that there may be."""
    reassembly = Reassembly(count)
    for number in range(count):
        reassembly.take([(number, 0, 3, bytes(FRAGMENT_BYTES_MIN - 1) + bytes([number % 256]))])
    groups = about("reassembly_groups_max").worst(Limits(reassembly_groups_max=count))
    return reassembly, groups + 2 * count * FRAGMENT_BYTES_MIN


def bulk(count):
    """One window's worth of the smallest pieces of few bodies; ``count`` is in pieces."""
    reassembly = Reassembly(count)
    for number in range(count):
        piece = bytes(FRAGMENT_BYTES_MIN - 1) + bytes([number % 256])
        reassembly.take([(number // 2000, number % 2000, 2001, piece)])
    limits = Limits()
    worst = about("bulk_window_bytes").worst(limits)
    return reassembly, worst * count * FRAGMENT_BYTES_MIN // limits.bulk_window_bytes


def user_rates(count):
    """Users who have all sent more than they may in the long run."""
    drops = {}
    rates = SenderRates(Limits(sessions_max=count), drops)
    packet = MsgR(1, None, 1, (), 0, run_of(1, 2))
    for number in range(count):
        session = Session(Endpoint(f"{number:032}", "d"), 1, lambda: 0.0, {})
        rates.limited(session, packet, lambda now: None)(1.0)
    assert (count, {}) == (len(rates), drops)
    return rates, count * about("user_messages_per_s_max").worst(Limits())


def queue_rows(count):
    """The index of queued messages, each alone in its stream and being pulled."""
    queue, endpoint = OfflineQueue([]), Endpoint("u" * 32, "d" * 32)
    for number in range(count):
        stream = name_of(number)
        queue.inserted(endpoint, stream, [(5, 5)], [(5, 5000)])
        queue.stream(endpoint, stream).reading.add(5, 5)
    return queue, about("queue_messages_max").worst(Limits(queue_messages_max=count))


def devices(count):
    """Registered devices with all the incarnations that are remembered."""
    retired = range(config.RETIRED_INCARNATIONS_MAX)
    registry = Registry([])
    for number in range(count):
        place = number % config.DEVICES_PER_USER_MAX
        old = tuple(2**63 + 100 * number + n for n in retired)
        user, device, _, _ = name_of(number - place)
        record = DeviceRecord(user, f"{device[2:]}{place:02}", place, place + 1, 2**63, old, number)
        registry.put(record)
    return registry, count * about("devices_per_user_max").worst(Limits())


TABLES = {
    sessions: 200,
    outbox: 900,
    inbox: 900,
    aside: 1000,
    incoming_streams: 100,
    conversations: 30,
    pushes: 1500,
    named_streams: 1000,
    waiting_frames: 1500,
    signals: 64,
    pieces: 1000,
    bulk: 4000,
    user_rates: 1000,
    queue_rows: 1500,
    devices: 500,
}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_a_full_table_takes_what_its_limit_says(table):
    table(2)  # what is made once is not the table's
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        full, estimate_bytes = table(TABLES[table])
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    measured_bytes = after - before
    assert full is not None
    assert measured_bytes <= estimate_bytes <= FACTOR_MAX * measured_bytes
