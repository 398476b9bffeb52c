"""What may leave, what comes back, what must go again."""

import pytest

from tests.settings import settings
from udpim.hop.config import HopConfig
from udpim.hop.recovery import PROBE_SPACING_S, PTO_S_MAX, PTO_S_MIN, THIN_TRIES, Recovery
from udpim.hop.stats import HopStats
from udpim.hop.timers import Timer, TimerTable
from udpim.wire.frames import parse_frames
from udpim.wire.parameters import PeerParameters

SIZE = 1200


class Sender:
    """A Recovery with the little of a connection that it needs."""

    def __init__(self, **config):
        self.timers = TimerTable()
        self.stats = HopStats()
        self.recovery = Recovery(
            config=settings(HopConfig, **config),
            parameters=PeerParameters(),
            datagram_bytes=SIZE,
            timers=self.timers,
            stats=self.stats,
            room=1171,
        )
        self.now = 10.0
        self.next = 0

    def push(self, *bodies):
        for body in bodies:
            self.recovery.queue.push(body, body)

    def packet(self, *parts, room=1164 + 7):
        """Send one packet: its MESSAGE bodies, or "ping", or None if there is nothing to send."""
        filled = list(parts)
        frames, ping = self.recovery.fill(filled, room, self.next, self.now)
        if not frames and not ping:
            return None
        self.recovery.on_sent(self.next, SIZE, frames, self.now)
        self.next += 1
        self.recovery.arm(self.now)
        bodies = [f[2] for f in parse_frames(b"".join(filled[len(parts) :]))]
        return "ping" if ping else bodies

    def packets(self):
        return list(iter(self.packet, None))

    def ack(self, *numbers, delay=0.0):
        largest = max(numbers)
        bitmap = sum(1 << largest - 1 - n for n in numbers if n < largest)
        self.recovery.on_ack(largest, bitmap, 32, delay, self.now)
        self.recovery.arm(self.now)

    def pto(self):
        """Go on to the probe timeout: seconds that passed."""
        before, self.now = self.now, self.timers.next()
        self.recovery.handle_timeout(self.now)
        return self.now - before


@pytest.fixture
def sender():
    return Sender()


def big(count):
    return [bytes([65 + i]) * 1100 for i in range(count)]


def settled(rtt=0.1, **config):
    """A sender that knows the round trip to be steady."""
    sender = Sender(**config)
    for _ in range(60):
        sender.push(b"x")
        sender.packet()
        sender.now += rtt
        sender.ack(sender.next - 1)
    return sender


def test_new_frames_go_out_until_the_window_is_full(sender):
    sender.push(*big(12))
    assert len(sender.packets()) == 10
    assert not sender.recovery.wants_to_send(sender.now)


def test_one_packet_per_round_trip_passes_a_full_window(sender):
    sender.push(*big(12))
    sender.packets()
    opens_at = sender.timers.next()
    sender.now = opens_at
    assert sender.recovery.wants_to_send(sender.now)
    assert sender.timers.due(Timer.WINDOW, sender.now)
    assert len(sender.packets()) == 1


def test_acked_frames_give_tags_back_and_room(sender):
    sender.push(*big(12))
    sender.packets()
    sender.now += 0.1
    sender.ack(0, 1)
    assert sender.recovery.queue.acked_tags() == big(12)[:2]
    assert len(sender.packets()) == 2


def test_the_round_trip_is_taken_from_the_largest_newly_acked_packet(sender):
    sender.push(*big(2))
    sender.packets()
    sender.now += 0.1
    sender.ack(0)
    assert sender.recovery.rtt.latest_rtt == pytest.approx(0.1)
    sender.now += 0.2
    sender.ack(0)
    assert sender.recovery.rtt.latest_rtt == pytest.approx(0.1), "nothing new was acked"
    sender.recovery.on_ack(2, 0b11, 1, 0.0, sender.now)
    assert sender.recovery.rtt.latest_rtt == pytest.approx(0.1), "the largest asked for no ack"


def test_an_ack_delay_beyond_what_the_peer_promised_is_not_believed(sender):
    sender.push(b"a")
    sender.packet()
    sender.now += 0.1
    sender.ack(0)
    sender.push(b"b")
    sender.packet()
    sender.now += 0.2
    sender.ack(1, delay=0.1)
    assert sender.recovery.rtt.smoothed_rtt == pytest.approx(0.1 + (0.195 - 0.1) / 8)


def test_lost_frames_go_again_and_the_window_shrinks(sender):
    sender.push(*big(6))
    sender.packets()
    before = sender.recovery.congestion.window
    sender.now += 0.1
    sender.ack(3, 4, 5)
    assert sender.stats.packets_lost == 3
    assert sender.recovery.congestion.window < before
    assert [bodies[0] for bodies in sender.packets()] == big(3)


def test_losses_are_found_by_time_as_well(sender):
    sender.push(*big(5))
    sender.packets()
    sender.now += 0.1
    sender.ack(1)
    assert sender.packets() == []
    assert sender.timers.due(Timer.LOSS, sender.now + 0.0126)
    sender.pto()
    assert sender.packets() == [big(1)]


def test_a_loss_that_was_none_is_taken_back(sender):
    sender.push(*big(6))
    sender.packets()
    window = sender.recovery.congestion.window
    sender.now += 0.1
    sender.ack(1, 2, 3, 4)
    sender.ack(0, 4)
    assert sender.stats.packets_spuriously_lost == 1
    assert sender.recovery.congestion.window >= window
    assert sender.packets() == [], "its frame arrived"
    assert big(1)[0] in sender.recovery.queue.acked_tags()


def test_persistent_loss_shrinks_the_window_to_its_minimum():
    sender = settled()
    first = sender.next
    for _ in range(12):
        sender.push(*big(1))
        sender.packet()
        sender.now += 0.1
    sender.push(*big(1))
    sender.packet()
    sender.now += 0.1
    sender.ack(first + 12)
    assert sender.recovery.congestion.window == 4 * SIZE


def test_a_window_that_is_hardly_used_does_not_grow():
    sender = settled()
    assert sender.recovery.congestion.window == 10 * SIZE


def test_a_full_window_grows(sender):
    sender.push(*big(20))
    sender.packets()
    sender.now += 0.1
    sender.ack(*range(10))
    assert sender.recovery.congestion.window == 20 * SIZE


def test_a_lone_message_is_probed_twice_with_its_data():
    sender = settled()
    sender.push(b"lone")
    sender.packet()
    waited = sender.pto()
    assert waited == pytest.approx(sender.recovery.pto_s())
    assert sender.packets() == [[b"lone"]]
    assert sender.pto() == pytest.approx(PROBE_SPACING_S)
    assert sender.packets() == [[b"lone"]]
    assert sender.stats.probes_sent == 2


def test_an_ack_between_the_probes_cancels_the_second():
    sender = settled()
    sender.push(b"lone")
    sender.packet()
    sender.pto()
    sender.packet()
    sender.ack(sender.next - 1)
    sender.recovery.handle_timeout(sender.now + PROBE_SPACING_S)
    assert sender.packets() == []


def test_an_ack_that_comes_with_the_timeout_makes_the_probe_needless():
    sender = settled()
    sender.push(b"lone")
    sender.packet()
    sender.pto()
    sender.ack(sender.next - 1)
    assert sender.packets() == []
    assert sender.stats.probes_sent == 0


def test_progress_ends_the_back_off():
    sender = settled()
    sender.push(*big(6))
    sender.packets()
    intervals(sender, 4)
    sender.ack(*range(sender.next))
    sender.push(b"next")
    assert sender.packets() == [[b"next"]]
    assert sender.pto() == pytest.approx(sender.recovery.pto_s())


def test_the_second_probe_carries_what_the_first_had_no_room_for():
    sender = settled()
    sender.push(*big(3))
    sender.packets()
    sender.pto()
    assert sender.packets() == [[big(3)[0]]]
    sender.pto()
    assert sender.packets() == [[big(3)[1]]]


def test_a_timeout_that_is_handled_twice_probes_once_and_backs_off_once():
    sender = settled()
    sender.push(*big(6))
    sender.packets()
    sender.pto()
    for _ in range(5):
        sender.recovery.handle_timeout(sender.now)
    fired_at = sender.now
    sender.packets()
    assert sender.stats.probes_sent == 1
    sender.pto()
    sender.packets()
    sender.pto()
    assert sender.now - fired_at == pytest.approx(2 * sender.recovery.pto_s())


def intervals(sender, count):
    """Seconds between successive probe timeouts without any ack."""
    found = []
    last = sender.now
    for _ in range(count):
        sender.pto()
        found.append(sender.now - last)
        last = sender.now
        sender.packets()
        sender.pto()
        sender.packets()
    return found


def test_a_thin_stream_is_probed_steadily_at_first_and_then_less_and_less():
    sender = settled()
    sender.push(b"lone")
    sender.packet()
    pto = sender.recovery.pto_s()
    found = intervals(sender, THIN_TRIES + 8)
    steady = [pto] * (THIN_TRIES + 1)
    assert found[: THIN_TRIES + 1] == pytest.approx(steady, abs=0.001)
    assert found[THIN_TRIES + 1 : THIN_TRIES + 4] == pytest.approx([2 * pto, 4 * pto, 8 * pto])
    assert found[-1] == pytest.approx(PTO_S_MAX)


def test_a_thick_stream_backs_off_at_once():
    sender = settled()
    sender.push(*big(6))
    sender.packets()
    pto = sender.recovery.pto_s()
    assert intervals(sender, 3) == pytest.approx([pto, 2 * pto, 4 * pto])


def test_a_probe_needs_no_window():
    sender = settled()
    sender.push(*big(10))
    sender.packets()
    sender.pto()
    assert sender.packets() == [[big(1)[0]]]


def test_a_probe_with_nothing_to_carry_is_a_ping(sender):
    sender.recovery.on_sent(0, 32, [], sender.now)
    sender.next = 1
    sender.recovery.arm(sender.now)
    sender.pto()
    assert sender.packets() == ["ping"]


def test_a_probe_with_nothing_in_flight_to_carry_takes_new_data(sender):
    sender.recovery.on_sent(0, 10 * SIZE, [], sender.now)
    sender.next = 1
    sender.push(b"new")
    sender.recovery.arm(sender.now)
    assert sender.packet() is None
    sender.now += 0.333
    sender.recovery.handle_timeout(sender.now)
    assert sender.packet() == [b"new"]


def test_a_probe_that_does_not_fit_beside_an_ack_waits_for_its_own_packet():
    sender = settled()
    sender.push(*big(1))
    sender.packet()
    sender.pto()
    assert sender.packet(b"ack frames", room=1000) is None
    assert sender.packet() == big(1)


def test_timeouts_are_never_shorter_than_what_a_scheduler_can_keep():
    sender = settled(rtt=0.0001)
    assert sender.recovery.rtt.pto_s(0.005) < PTO_S_MIN
    assert sender.recovery.pto_s() == PTO_S_MIN


def test_the_dead_timer_runs_while_frames_are_in_flight_and_moves_with_progress(sender):
    sender.push(*big(2))
    sender.packets()
    assert sender.timers.due(Timer.DEAD, sender.now + 30.0)
    sender.now += 0.1
    sender.ack(0)
    assert not sender.timers.due(Timer.DEAD, sender.now + 29.99)
    assert sender.timers.due(Timer.DEAD, sender.now + 30.0)
    sender.ack(1)
    assert not sender.timers.is_set(Timer.DEAD)


def test_another_host_is_another_network():
    sender = settled()
    sender.recovery.congestion.window = 99 * SIZE
    sender.recovery.on_path_changed(same_host=False)
    assert sender.recovery.congestion.window == 10 * SIZE
    assert not sender.recovery.rtt.sampled


def test_another_port_is_the_same_network():
    sender = settled()
    sender.recovery.congestion.window = 99 * SIZE
    sender.recovery.on_path_changed(same_host=True)
    assert sender.recovery.congestion.window == 99 * SIZE
    assert sender.recovery.rtt.sampled


@pytest.mark.parametrize("same_host", [True, False])
def test_what_was_on_its_way_to_the_old_address_goes_again_at_once(same_host):
    sender = settled()
    sender.push(*big(6))
    first = sender.next
    assert 6 == len(sender.packets())
    window = sender.recovery.congestion.window
    sender.recovery.on_path_changed(same_host=same_host)
    assert big(6) == [body for bodies in sender.packets() for body in bodies]
    assert sender.stats.packets_lost == 0
    assert sender.recovery.congestion.window == (window if same_host else 10 * SIZE)
    sender.now += 0.1
    sender.ack(*range(first, first + 12))
    assert big(6) == sender.recovery.queue.acked_tags()[-6:]
    assert sender.stats.packets_spuriously_lost == 0


def test_a_new_path_is_probed_without_the_old_ones_back_off():
    sender = settled()
    sender.push(*big(6))
    sender.packets()
    intervals(sender, 5)
    sender.recovery.on_path_changed(same_host=True)
    sender.packets()
    assert sender.timers.next() - sender.now <= sender.recovery.pto_s()


# Pacing.


def paced():
    """A sender with a round trip of 100 ms, a window of 100 packets, and more to send."""
    sender = settled(rtt=0.1)
    sender.recovery.congestion.window = 100 * SIZE
    sender.recovery.wants_to_send(sender.now)
    sender.push(*[b"x" * 1100] * 300)
    return sender


def turn(sender):
    """One turn of sending: packets that left."""
    sender.recovery.wants_to_send(sender.now)
    count = len(sender.packets())
    sender.recovery.arm(sender.now)
    return count


def test_a_window_leaves_over_a_round_trip_and_not_at_once():
    sender = paced()
    start = sender.now
    assert turn(sender) == 10
    sent = 10
    while sent < 100:
        assert sender.timers.is_set(Timer.PACING)
        sender.now = sender.timers.next()
        sent += turn(sender)
    assert 0.06 < sender.now - start < 0.08, "90 packets at 1.25 windows per round trip"
    assert not sender.timers.is_set(Timer.PACING)
    assert sender.timers.is_set(Timer.WINDOW)


def test_pacing_never_delays_a_probe():
    sender = paced()
    turn(sender)
    sender.timers.set(Timer.PTO, sender.now)
    sender.recovery.handle_timeout(sender.now)
    assert turn(sender) == 1


def test_a_window_that_pacing_keeps_from_being_full_grows_all_the_same():
    sender = paced()
    before = sender.recovery.congestion.window
    first = sender.next
    turn(sender)
    sender.now += 0.1
    sender.ack(*range(first, sender.next))
    assert sender.recovery.congestion.window > before
