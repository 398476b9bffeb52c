"""What leaves, in which order, and when again (semantics R9, R11, I12)."""

import pytest

from tests.im.helpers import TWO, Sender
from udpim.config import E2E_TIMER_S_MAX, WINDOW
from udpim.im.transmitter import PROBE_MESSAGES, SLICE
from udpim.wire.im_packets import CancelR, MsgR, StatusR
from udpim.wire.im_schema import RANGES_MAX, SECTION_BYTES_MAX


def ack_all(a, packets, now):
    for _, flight in packets:
        a.outbox.on_acked(flight, now)


def test_only_a_few_leave_before_the_membership_is_known():
    a = Sender()
    stream, _ = a.send(*[b"x"] * 20)
    a.commit()
    a.login()
    assert [f"msg 1-{PROBE_MESSAGES}"] == a.told()
    a.members(stream, *TWO)
    assert ["msg 1-20"] == a.told()


def test_what_is_given_up_does_not_hold_up_the_rest_before_the_membership_is_known():
    a = Sender()
    stream, _ = a.send(*[b"x"] * 20)
    a.commit()
    a.login()
    a.packets()
    a.outbox.cancel(stream, 1, 5)
    a.commit()
    a.login()
    assert f"msg 6-{5 + PROBE_MESSAGES}" in a.told()


def test_nobody_sends_beyond_the_window():
    a = Sender()
    stream = a.met()
    a.send(*[b""] * (WINDOW + 9))
    a.commit()
    assert WINDOW == sum(p.section.count for p, _ in a.packets()) + 1
    a.stored(stream, (1, 4))
    assert [f"msg {WINDOW + 1}-{WINDOW + 4}"] == a.told()


def test_a_run_fills_sections_and_never_more():
    a = Sender()
    a.met()
    a.send(*[b"x" * 400] * 5)
    a.commit()
    sections = [p.section for p, _ in a.packets()]
    assert [2, 2, 1] == [s.count for s in sections]
    assert all(len(s.raw) <= SECTION_BYTES_MAX for s in sections)


def test_streams_take_turns():
    a = Sender()
    first = a.met()
    second, _ = a.send(b"x", to="carol")
    a.members(second, *TWO)
    a.packets()
    a.send(*[b"x" * 900] * 300)
    a.send(*[b"x" * 900] * 300, to="carol")
    a.commit()
    whose = [f.stream for _ in range(4) for _, f in a.packets(SLICE)]
    assert first in whose[:SLICE]
    assert second in whose[SLICE : 2 * SLICE]


def test_room_is_a_bound_on_packets():
    a = Sender()
    a.met()
    a.send(*[b"x" * 900] * 300)
    a.commit()
    assert [] == a.packets(0)
    assert SLICE == len(a.packets(1))
    assert SLICE == len(a.packets(SLICE))


def test_the_timer_sleeps_until_the_hop_has_taken_the_packet():
    a = Sender()
    stream, _ = a.send(b"x")
    a.commit()
    a.login()
    sent = a.packets()
    a.outbox.handle_timeout(100.0)
    assert [] == a.told()
    ack_all(a, sent, 100.0)
    assert 103.0 == a.outbox.next_timeout()
    a.outbox.handle_timeout(102.9)
    assert [] == a.told()
    a.outbox.handle_timeout(103.0)
    assert [f"msg {stream.floor}-1"] == a.told()


def test_the_interval_doubles_to_a_minute():
    a = Sender()
    a.met()
    now, waits = 0.0, []
    a.outbox.resend(a.send(b"y")[0], 2)
    a.commit()
    for _ in range(7):
        sent = a.packets()
        assert ["2-2"] == [f"{p.section.first}-{p.section.last}" for p, _ in sent[:1]]
        ack_all(a, sent[:1], now)
        waits.append(a.outbox.next_timeout() - now)
        now += waits[-1]
        a.outbox.handle_timeout(now)
    assert [3, 6, 12, 24, 48, 60, 60] == waits


@pytest.mark.parametrize(("rtt_us", "wait"), [(0, 3), (2_000_000, 6), (4_000_000_000, 60)])
def test_the_first_interval_follows_the_slowest_round_trip(rtt_us, wait):
    a = Sender()
    a.met()
    a.accept((1, 1), rtt_us=rtt_us)
    a.send(b"y")
    a.commit()
    ack_all(a, a.packets(), 10.0)
    assert 10.0 + wait == a.outbox.next_timeout() <= 10 + E2E_TIMER_S_MAX


def test_what_is_settled_or_stored_is_not_sent_again():
    a = Sender()
    stream = a.met()
    a.send(b"y", b"z", b"!")
    a.commit()
    ack_all(a, a.packets(), 0.0)
    a.verdict(stream, delivered=((2, 2),))
    a.stored(stream, (3, 3))
    a.outbox.handle_timeout(3.0)
    assert ["msg 4-4"] == a.told()


def test_beyond_its_budget_a_flight_waits_a_second():
    a = Sender()
    a.met()
    for _ in range(100):
        a.send(b"x" * 100)
        a.commit()
        ack_all(a, a.packets(), 0.0)
    a.outbox.handle_timeout(3.0)
    assert 60 + 20 == len(a.packets())
    assert 4.0 == a.outbox.next_timeout()
    a.outbox.handle_timeout(4.0)
    assert 1 == len(a.packets())


def test_of_a_flight_beyond_the_budget_the_first_part_goes_and_the_rest_follows():
    a = Sender()
    stream = a.met()
    a.send(*[b""] * 50)
    a.send(*[b"1"] * 50)
    a.commit()
    ack_all(a, a.packets(), 0.0)
    a.verdict(stream, delivered=((10, 19), (95, 101)))
    a.outbox.handle_timeout(3.0)
    assert ["msg 2-9", "msg 20-65", "msg 66-71"] == a.told()
    a.outbox.handle_timeout(4.0)
    assert ["msg 72-72"] == a.told()
    a.verdict(stream, delivered=((75, 76),))
    a.outbox.handle_timeout(8.0)
    assert ["msg 73-74", "msg 77-78"] == a.told()


def test_flights_of_a_dead_connection_never_wake():
    a = Sender()
    a.met()
    a.send(b"y")
    a.commit()
    sent = a.packets()
    ack_all(a, sent, 0.0)
    a.outbox.session_ended()
    a.outbox.handle_timeout(10.0)
    ack_all(a, sent, 10.0)
    assert a.outbox.next_timeout() is None
    a.login()
    assert ["msg 1-2"] == a.told(), "the login sends everything open again"


def test_a_cancel_leaves_until_the_endpoints_answer_even_when_all_is_stored():
    a = Sender()
    stream = a.met()
    a.stored(stream, (1, 1))
    a.outbox.cancel(stream, 1, 1)
    a.commit()
    sent = a.packets()
    assert [((1, 1),)] == [p.ranges for p, _ in sent if isinstance(p, CancelR)]
    ack_all(a, sent, 0.0)
    a.outbox.handle_timeout(3.0)
    assert ["cancel 1-1"] == a.told()
    a.verdict(stream, void=((1, 1),))
    a.outbox.handle_timeout(100.0)
    assert [] == a.told()


def test_cancels_of_many_holes_take_several_packets_between_the_messages():
    a = Sender()
    stream = a.met(*[b"x"] * 120)
    for seq in range(1, 121, 2):
        a.outbox.cancel(stream, seq, seq)
    a.outbox.session_ended()
    a.commit()
    a.login()
    packets = [p for p, _ in a.packets()]
    cancels = [p for p in packets if isinstance(p, CancelR)]
    assert len(cancels) >= 2
    assert all(len(p.ranges) <= RANGES_MAX for p in cancels)
    assert 60 == sum(p.section.count for p in packets if isinstance(p, MsgR))


def test_cancels_cost_no_budget():
    a = Sender()
    stream = a.met(*[b"x" * 900] * 100)
    a.outbox.cancel(stream, 1, 100)
    a.commit()
    ack_all(a, a.packets(), 0.0)
    a.outbox.handle_timeout(3.0)
    assert ["cancel 1-100"] == a.told()


def test_questions_go_first():
    a = Sender()
    stream = a.met()
    a.stored(stream, (1, 1))
    a.send(b"y")
    a.commit()
    a.outbox.session_ended()
    a.login()
    assert [StatusR, MsgR] == [type(p) for p, _ in a.packets()]


def test_the_server_fills_in_who_the_sender_is():
    a = Sender()
    stream, _ = a.send(b"x")
    a.commit()
    a.login()
    ((packet, flight),) = a.packets()
    assert ("", "", "bob") == (packet.name.user, packet.name.device, packet.name.conversation)
    a.outbox.on_acked(flight, 0.0)
    a.members(stream, *TWO)
    assert [None] == [p.name for p, _ in a.packets()]
