"""Receipts that leave: those of a turn, and those offered again at a login."""

from tests.im.helpers import INC, STREAM
from udpim.im.handles import OutHandles
from udpim.im.in_stream import InStream
from udpim.im.offers import Offers, emit_receipts
from udpim.im.records import InStreamRecord
from udpim.wire.im_schema import RANGES_MAX


def stream(user):
    return InStream(InStreamRecord(STREAM._replace(user=user, incarnation=INC), 0, 0, 0, 1, ()))


def test_every_stream_is_offered_once():
    offers = Offers()
    streams = [stream(f"u{n}") for n in range(3)]
    offers.session_started(streams)
    assert 3 == len(offers)
    assert streams == offers.take(10)
    assert [] == offers.take(10)


def test_whom_one_session_had_no_room_for_comes_first_in_the_next():
    offers = Offers()
    one, two, three = (stream(f"u{n}") for n in range(3))
    offers.session_started([one, two, three])
    assert [one, two] == offers.take(2)
    assert [] == offers.take(-1)
    offers.session_started([one, two, three])
    assert [three, one, two] == offers.take(9)


def test_receipts_are_cut_to_packets_and_pulled_ones_apart():
    one = stream("u1")
    one.raise_base(2 * RANGES_MAX)
    one.floor = 1
    for seq in range(1, RANGES_MAX + 2):
        one.void_runs.remove(2 * seq - 1, 2 * seq - 1)
    one.report.add(1, 2 * RANGES_MAX)
    one.pulled.add(1, 2)
    out = []
    emit_receipts(lambda packet, tag: out.append(packet), one, OutHandles())
    assert [True] == [packet.pulled for packet in out if 2 in void_of(packet)]
    assert all(len(p.delivered) + len(p.void) <= RANGES_MAX for p in out)
    assert {*range(2, 2 * RANGES_MAX, 2)} == {seq for packet in out for seq in void_of(packet)}
    emit_receipts(lambda packet, tag: out.append(packet), one, OutHandles())
    assert 3 == len(out)


def test_what_is_settled_below_floor_leaves_in_packets_of_its_own():
    one = stream("u1")
    one.raise_base(3 * RANGES_MAX)
    one.raise_floor(3 * RANGES_MAX)
    for seq in range(1, 2 * RANGES_MAX + 3, 2):
        one.ask(seq, seq)
        one.report.add(seq, seq)
    out = []
    emit_receipts(lambda packet, tag: out.append(packet), one, OutHandles())
    assert [RANGES_MAX, 1] == [len(packet.settled) for packet in out]
    assert {((), ())} == {(packet.delivered, packet.void) for packet in out}


def void_of(packet):
    return [seq for a, b in packet.void for seq in range(a, b + 1)]
