"""What the swarm draws evenly in the logarithm."""

from random import Random
from statistics import median

from udpim.testing.sim.draws import log_uniform


def test_half_of_what_is_drawn_is_below_the_geometric_mean():
    dice = Random(1)
    drawn = [log_uniform(dice, 0.01, 100.0) for _ in range(1000)]
    assert 0.01 <= min(drawn) < max(drawn) <= 100.0
    assert 0.7 < median(drawn) < 1.4
