"""The virtual network does what was ordered, as often as ordered, and counts it."""

import pytest

from udpim.testing.clock import VirtualClock
from udpim.testing.network import LinkFaults, VirtualNetwork

A, B = ("a/x", 1), ("b/x", 2)
COUNT = 2000


def network_of(seed, **faults):
    clock = VirtualClock()
    network = VirtualNetwork(clock, seed, default=LinkFaults(**faults))
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
    network.set_link("a/x", "b/x", LinkFaults(loss_ratio=1.0))
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
