"""Some seeds have a server of several processes, and nothing else is different in them."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.testing.sim.plans import plan, send, watched
from udpim.testing.cluster import Setup
from udpim.testing.faults import Profile
from udpim.testing.sim import clusters
from udpim.testing.sim.actions import ACTIONS
from udpim.testing.sim.clusters import CLUSTER_EVERY, clustered
from udpim.testing.sim.plan import Seat
from udpim.testing.sim.run import run
from udpim.testing.sim.swarm import draw

PLANS = [draw(str(number)) for number in range(1200)]
CLUSTERED = [one for one in PLANS if one.cluster]


def test_one_seed_in_six_has_a_cluster():
    assert 0.8 < len(CLUSTERED) * CLUSTER_EVERY / len(PLANS) < 1.2


def test_each_kind_is_on_in_about_half_of_them():
    on = Counter(kind for one in CLUSTERED for kind in one.kinds)
    kinds = {
        *clusters._BUS,
        *clusters._EVENTS,
        "slow restore",
        "directory fails",
        "slow shared disk",
    }
    assert {} == {k: on[k] for k in kinds if abs(on[k] / len(CLUSTERED) - 0.5) > 0.15}
    drawn = {action.kind for one in CLUSTERED for action in one.actions}
    assert set(clusters._EVENTS) <= drawn <= set(ACTIONS)


def test_what_is_drawn_is_valid():
    for one in CLUSTERED:
        setup = Setup(**{**one.cluster, "bus": Profile(**one.cluster["bus"])})
        assert setup.size in clusters.SIZES
        assert one.server.durable
    assert {"objects", "database"} == {one.disk for one in CLUSTERED}


def test_a_seed_without_a_cluster_is_as_it_was():
    for one in PLANS[:50]:
        bare = replace(one, seed="another", cluster={})
        assert (clustered(bare).seats, clustered(bare).link) == (one.seats, one.link)
        if not one.cluster:
            assert one == clustered(one)


def bus():
    return {"bus": CLUSTERED[0].cluster["bus"]}


@pytest.mark.parametrize("kind", clusters._EVENTS)
@pytest.mark.parametrize("who", ["server", "gate", "s1"])
def test_what_befalls_a_process_costs_time_and_no_message(kind, who):
    args = {"who": who, "landing": 1, "down_s": 0.5, "for_s": 2.0, "by_s": 9.0, "from": "both"}
    befalls = replace(send(1.5), kind=kind, args=args)
    cluster = {"size": 2, "lease_s": 0.5, **bus()}
    result, _world, stage = watched(
        plan(send(1.0, count=3), befalls, send(1.6, count=3), length_s=5.0, cluster=cluster)
    )
    assert () == result.violated
    assert any(words.startswith(kind) for _, words in stage.log)
    assert 6 == result.account["receipted"]


@pytest.mark.parametrize("kind", clusters._EVENTS)
def test_without_a_cluster_it_befalls_nobody(kind):
    args = {"who": "server", "landing": 0, "down_s": 0.1, "for_s": 0.1, "by_s": 9.0, "from": "bus"}
    befalls = replace(send(1.2), kind=kind, args=args)
    seats = (Seat(user="alice", device="phone"), Seat(user="bob", device="phone"))
    assert () == watched(plan(send(1.0), befalls, seats=seats))[0].violated


def test_the_same_seed_gives_the_same_run():
    one = replace(CLUSTERED[0], length_s=3.0)
    assert run(one).trace == run(one).trace
