"""The virtual network does what was ordered, as often as ordered, and counts it."""

import pytest

from udpim.testing.choices import Choices
from udpim.testing.clock import VirtualClock
from udpim.testing.faults import Drop, Loss, Profile, blackout
from udpim.testing.faults.toml import FaultFile
from udpim.testing.network import VirtualNetwork

A, B = ("a/x", 1), ("b/x", 2)
COUNT = 2000


def network_of(seed, **faults):
    clock = VirtualClock()
    network = VirtualNetwork(clock, seed, default=Profile(**faults))
    arrived = []
    network.bind(B, lambda data, source: arrived.append((clock.now, data, source)))
    return clock, network, arrived


def send(network, count=COUNT, pair=(A, B)):
    for number in range(count):
        network.send(*pair, b"%d" % number)


def test_perfect_network_delivers_everything_after_its_delay(seed):
    clock, network, arrived = network_of(seed, delay_s=0.5)
    send(network, 3)
    clock.run_until(1)
    assert arrived == [(0.5, b"0", A), (0.5, b"1", A), (0.5, b"2", A)]
    assert network.counters == {"sent": 3, "delivered": 3}
    assert [c.fate for c in network.trace] == ["delivered"] * 3


@pytest.mark.parametrize(
    ("fault", "counter"),
    [("loss_ratio", "lost"), ("duplicate_ratio", "duplicated"), ("reorder_ratio", "reordered")],
)
def test_each_fault_strikes_as_often_as_ordered_and_is_counted(seed, fault, counter):
    clock, network, arrived = network_of(seed, **{fault: 0.25})
    send(network)
    clock.run_until(10)
    struck = network.counters[counter]
    assert 0.2 * COUNT < struck < 0.3 * COUNT
    expected = {"lost": COUNT - struck, "duplicated": COUNT + struck, "reordered": COUNT}[counter]
    assert len(arrived) == expected
    order = [int(data) for _, data, _ in arrived]
    assert (order != sorted(order)) == (counter == "reordered")


def test_same_seed_has_the_same_luck(seed):
    def run(seed):
        clock, network, arrived = network_of(seed, loss_ratio=0.5, jitter_s=1.0)
        send(network, 100)
        clock.run_until(10)
        return arrived

    assert run(seed) == run(seed)
    assert run(seed) != run(seed + 1)


def test_traffic_on_one_link_does_not_change_the_luck_of_another(seed):
    def run(noise):
        clock, network, arrived = network_of(seed, loss_ratio=0.5)
        send(network, noise, pair=(B, A))
        send(network, 100)
        clock.run_until(10)
        return [data for _, data, _ in arrived]

    assert run(0) == run(50)


def test_a_link_may_have_its_own_faults(seed):
    clock, network, arrived = network_of(seed)
    network.set_link("a/x", "b/x", Profile(loss_ratio=1.0))
    send(network, 10)
    network.heal()
    send(network, 1)
    clock.run_until(1)
    assert len(arrived) == 1
    assert network.counters["lost"] == 10


def test_cuts_hold_until_mended(seed):
    clock, network, arrived = network_of(seed)
    back = []
    network.bind(A, lambda data, source: back.append(data))
    network.cut_one_way("b/x", "a/x")
    send(network, 1)
    send(network, 1, pair=(B, A))
    network.cut("a/x", "b/x")
    send(network, 1)
    network.mend()
    send(network, 1)
    clock.run_until(1)
    assert (len(arrived), len(back), network.counters["cut"]) == (2, 0, 2)


def test_nobody_there_is_unreachable(seed):
    clock, network, arrived = network_of(seed)
    network.unbind(B)
    send(network, 2)
    clock.run_until(1)
    assert arrived == []
    assert network.counters["unreachable"] == 2


def hello():
    from udpim.wire.packet import Hello, encode_long

    return encode_long(Hello(source_cid=bytes(8), token=b"", payload=b""))


def test_intercept_drops_the_ordered_copies_and_tells(seed):
    clock, network, arrived = network_of(seed)
    told = []
    order = network.intercept(
        "HELLO", source="a", destination="b/x", copies=(2, 3), then=lambda: told.append(clock.now)
    )
    send(network, 1)
    for _ in range(4):
        network.send(A, B, hello())
    network.send(("c/x", 1), B, hello())
    clock.run_until(1)
    assert (order.seen, order.dropped, len(told)) == (4, 2, 2)
    assert len(arrived) == 4
    assert network.counters["dropped"] == 2


def test_intercept_may_watch_without_dropping(seed):
    clock, network, arrived = network_of(seed)
    order = network.intercept("HELLO", copies=None, drop=False)
    network.send(A, B, hello())
    clock.run_until(1)
    assert (order.seen, order.dropped, len(arrived)) == (1, 0, 1)


def test_replay_arrives_from_wherever_it_is_wanted(seed):
    clock, network, arrived = network_of(seed, loss_ratio=1.0)
    send(network, 1)
    network.replay(network.trace[0], source=("elsewhere", 9), delay_s=2.0)
    clock.run_until(3)
    assert arrived == [(2.0, b"0", ("elsewhere", 9))]
    assert [c.replayed for c in network.trace] == [False, True]


class Watch:
    """An observer that writes down what it is told."""

    def __init__(self):
        self.told = []

    def on_datagram_sent(self, crossing):
        self.told.append(("sent", crossing.data))

    def on_datagram_arrived(self, crossing):
        self.told.append(("arrived", crossing.data))

    def on_datagram_damaged(self, crossing, data):
        self.told.append(("damaged", data))


@pytest.mark.parametrize(
    ("profile", "counter"),
    [(Profile(corrupt_ratio=0.3), "corrupted"), (Profile(truncate_ratio=0.3), "truncated")],
)
def test_damaged_copies_arrive_and_are_not_taken_for_what_was_sent(seed, profile, counter):
    clock, network, arrived = network_of(seed)
    network.default = profile
    network.observer = watch = Watch()
    send(network, 500)
    clock.run_until(1)
    damaged = [c for c in network.trace if c.fate == "damaged"]
    assert 0 < len(damaged) == network.counters[counter] == network.counters["damaged"] < 500
    assert [(counter,)] * len(damaged) == [c.faults for c in damaged]
    assert [0] * len(damaged) == [c.arrivals for c in damaged]
    assert [b"%d" % n for n in range(500)] == [c.data for c in network.trace]
    assert 500 == len(arrived)
    wrong = [data for n, (_, data, _) in enumerate(arrived) if data != b"%d" % n]
    assert wrong == [data for what, data in watch.told if what == "damaged"]
    assert 500 - len(damaged) == len([1 for what, _ in watch.told if what == "arrived"])


def test_fates_say_what_stopped_a_datagram(seed):
    clock, network, _ = network_of(seed, mtu_bytes=128, rate_bits_per_s=8.0, queue_packets=1)
    network.send(A, B, bytes(101))
    for _ in range(14):
        network.send(A, B, bytes(100))
    network.set_link("a", "b", Loss.outage(1.0))
    send(network, 1)
    clock.run_until(2)
    fates = [c.fate for c in network.trace]
    assert ["too big", *["delivered"] * 11, "in flight", *["queue full"] * 2, "outage"] == fates
    counters = {"sent": 16, "too big": 1, "queue full": 2, "outage": 1, "delivered": 11}
    assert counters == network.counters


def test_a_host_goes_before_a_user_and_a_user_before_the_default(seed):
    clock, network, arrived = network_of(seed)
    network.set_link("a", "b", Profile(delay_s=2.0))
    network.set_link("a/x", "b", Profile(delay_s=1.0))
    for source in ("a/x", "a/y", "c/x"):
        network.send((source, 1), B, b"")
    clock.run_until(3)
    assert {"a/x": 1.0, "a/y": 2.0, "c/x": 0.02} == {host: at for at, _, (host, _) in arrived}


def test_a_changed_profile_holds_for_the_next_datagram(seed):
    clock, network, arrived = network_of(seed, loss_ratio=1.0)
    send(network, 1)
    network.default = Profile(delay_s=1.0)
    send(network, 1)
    network.set_link("a/x", "b/x", Profile(delay_s=2.0))
    send(network, 1)
    clock.run_until(3)
    assert [1.0, 2.0] == [at for at, _, _ in arrived]


def test_healing_ends_late_copies_and_keeps_delays(seed):
    clock, network, arrived = network_of(seed, duplicate_late_ratio=1.0, delay_s=0.5, jitter_s=3.0)
    network.set_link("c/x", "b/x", Profile(delay_s=0.7, loss_ratio=1.0))
    send(network, 1)
    network.heal()
    assert (Profile(delay_s=0.5), {"offered": 1, "late": 1, "passed": 2}) == (
        network.default,
        network.pipes["a/x", "b/x"].counters,
    )
    network.send(("c/x", 1), B, b"c")
    clock.run_until(1000)
    assert [b"0", b"c"] == sorted(data for _, data, _ in arrived)
    assert (0.7, b"c", ("c/x", 1)) in arrived
    assert 1 == network.counters["late"]


def test_a_late_copy_comes_minutes_later(seed):
    clock, network, arrived = network_of(seed, duplicate_late_ratio=1.0)
    send(network, 1)
    clock.run_until(1000)
    assert 2 == len(arrived)
    assert 150 < arrived[1][0] < 451
    assert (2, ("late",)) == (network.trace[0].arrivals, network.trace[0].faults)


def test_a_copy_that_finds_nobody_does_not_undo_a_delivery(seed):
    choices = Choices(0, {"a/x > b/x: late": {0: 60_000_001, 1: 60_000_001}})
    clock = VirtualClock()
    profile = Profile(duplicate_late_ratio=0.1)
    network = VirtualNetwork(clock, seed, default=profile, choices=choices)
    network.bind(B, lambda data, source: None)
    send(network, 1)
    clock.run_until(1)
    network.unbind(B)
    send(network, 1)
    clock.run_until(50)
    network.bind(B, lambda data, source: None)
    assert ["delivered", "unreachable"] == [c.fate for c in network.trace]
    clock.run_until(60.5)
    network.unbind(B)
    clock.run_until(100)
    assert ["delivered", "unreachable"] == [c.fate for c in network.trace]
    assert {"sent": 2, "late": 2, "delivered": 2, "unreachable": 2} == network.counters


def test_a_named_packet_is_dropped_on_order(seed):
    _, network, _ = network_of(seed)
    network.order(Drop("HELLO", nth=2, count=2, to="b"))
    for _ in range(5):
        network.send(A, B, hello())
    fates = [c.fate for c in network.trace]
    assert ["in flight", "dropped", "dropped", "in flight", "in flight"] == fates


def test_a_blackout_begins_and_ends_on_time(seed):
    clock, network, _ = network_of(seed)
    clock.run_until(10)
    network.order(blackout(at="1s", lasts="3s", between=("a", "b")))
    network.order(blackout(at="2s", lasts="1s"))
    for at in (10.5, 11.5, 12.5, 13.5, 14.5):
        clock.run_until(at)
        send(network, 1)
        network.send(("c/x", 1), B, b"c")
    fates = [c.fate for c in network.trace]
    clock.run_until(20)
    delivered = [c.fate == "delivered" for c in network.trace]
    assert [True, True, False, True, False, False, False, True, True, True] == delivered
    assert 4 == fates.count("cut") == network.counters["cut"]


@pytest.mark.parametrize("healed_at", [0.5, 1.5])
def test_healing_ends_blackouts_also_those_to_come(seed, healed_at):
    clock, network, arrived = network_of(seed)
    network.order(blackout(at="1s", lasts="3s"))
    clock.run_until(healed_at)
    network.heal()
    clock.run_until(2)
    send(network, 1)
    clock.run_until(5)
    assert 1 == len(arrived)


def test_a_fault_file_is_carried_out(seed):
    clock, network, arrived = network_of(seed)
    network.apply(
        FaultFile(
            link=Profile(delay_s=1.0),
            links={("c/x", "b"): Profile(delay_s=2.0)},
            drops=(Drop("HELLO"),),
            blackouts=(blackout(at=5, lasts=1),),
        )
    )
    network.send(A, B, hello())
    send(network, 1)
    network.send(("c/x", 1), B, b"c")
    clock.run_until(5.5)
    send(network, 1)
    assert [1.0, 2.0] == [at for at, _, _ in arrived]
    assert ["dropped", "delivered", "delivered", "cut"] == [c.fate for c in network.trace]


def test_a_tape_decides_in_place_of_the_seed(seed):
    def run(seed, choices):
        clock = VirtualClock()
        profile = Loss.uniform(0.3).delay("1s", jitter="1s").duplicate(0.2).corrupt(0.1)
        network = VirtualNetwork(clock, seed, default=profile, choices=choices)
        arrived = []
        network.bind(B, lambda data, source: arrived.append((clock.now, data)))
        send(network, 200)
        clock.run_until(9)
        return arrived

    first = Choices(seed)
    arrived = run(seed, first)
    assert arrived == run(seed, None) == run(0, Choices(0, first.tape()))
    assert set(first.tape()) == {
        f"a/x > b/x: {s}" for s in ("loss", "jitter", "duplicate", "corrupt")
    }


# --- NATs ---


def behind_a_nat(seed, life_s=30.0):
    clock, network, arrived = network_of(seed)
    nat = network.nat("a/x", life_s)
    answered = []
    network.bind(A, lambda data, source: answered.append((data, source)))
    return clock, network, nat, arrived, answered


def test_a_host_behind_a_nat_is_seen_at_its_public_address_and_reached_there(seed):
    clock, network, _, arrived, answered = behind_a_nat(seed)
    send(network, 1)
    clock.run_until(1)
    ((_, _, public),) = arrived
    assert "nat of a/x" == public[0]
    network.send(B, public, b"answer")
    clock.run_until(2)
    assert [(b"answer", B)] == answered
    there, back = network.trace
    assert (A, public, B, None) == (there.source, there.seen_from, there.destination, there.sent_to)
    assert (B, None, A, public) == (back.source, back.seen_from, back.destination, back.sent_to)
    assert [("a/x", "b/x"), ("b/x", "a/x")] == list(network.pipes)


@pytest.mark.parametrize("forget", ["time", "rebinding"])
def test_a_binding_that_is_forgotten_leads_nowhere(seed, forget):
    clock, network, nat, arrived, answered = behind_a_nat(seed)
    send(network, 1)
    clock.run_until(1)
    ((_, _, public),) = arrived
    if forget == "time":
        clock.run_until(31)
    else:
        nat.rebind()
    network.send(B, public, b"answer")
    network.send(B, ("nat of a/x", 1), b"never bound")
    clock.run_until(40)
    assert [] == answered
    assert ["unreachable"] * 2 == [c.fate for c in network.trace[1:]]
    send(network, 1)
    clock.run_until(41)
    assert public != arrived[1][2]
    assert 1 == nat.forgotten


def test_a_replay_passes_by_nats(seed):
    clock, network, nat, arrived, answered = behind_a_nat(seed)
    send(network, 1)
    clock.run_until(1)
    public = arrived[0][2]
    network.send(B, public, b"answer")
    clock.run_until(2)
    nat.rebind()
    for crossing in network.trace[:2]:
        network.replay(crossing)
    network.replay(network.trace[0], source=("elsewhere", 9))
    clock.run_until(3)
    assert [public, public, ("elsewhere", 9)] == [source for _, _, source in arrived]
    assert [(b"answer", B)] * 2 == answered
