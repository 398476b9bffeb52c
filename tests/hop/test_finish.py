"""FINISH in front of flights."""

from udpim.hop.finish import Finish
from udpim.hop.stats import HopStats

PATH = ("192.0.2.1", 9000)


class Flights:
    """A client whose probe timeout is 0.1 s."""

    def __init__(self, datagram=b"finish"):
        self.stats = HopStats()
        self.finish = Finish(datagram, self.stats)

    def leave(self, now):
        """What leaves with one packet."""
        flight = [(b"packet", PATH)]
        self.finish.put_before(flight, PATH, now, lambda: 0.1)
        return [datagram for datagram, _ in flight]


def test_it_goes_before_the_first_flight():
    flights = Flights()
    assert [b"finish", b"packet"] == flights.leave(1.0)
    assert 1 == flights.stats.finishes_sent


def test_it_goes_again_but_once_per_probe_timeout():
    flights = Flights()
    left = [len(flights.leave(now)) for now in (1.0, 1.0, 1.05, 1.1, 1.15, 1.25)]
    assert [2, 1, 1, 2, 1, 2] == left


def test_an_answer_ends_it():
    flights = Flights()
    flights.finish.answered()
    assert [b"packet"] == flights.leave(1.0)
    assert 0 == flights.stats.finishes_sent


def test_a_server_and_plaintext_have_none():
    assert [b"packet"] == Flights(b"").leave(1.0)
