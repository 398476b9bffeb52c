"""Each kind of action does what its name says, when its moment has come, and else nothing."""

import pytest

from tests.testing.sim.plans import BOB, action, crash, plan, send, watched
from udpim.errors import Error
from udpim.model import MessageState
from udpim.testing.nodes import VirtualClient
from udpim.testing.sim import clusters
from udpim.testing.sim.actions import ACTIONS, ELSEWHERE, REPAIR_S, Stage
from udpim.testing.sim.plan import Seat
from udpim.testing.world import World

LATE = Seat(user="alice", device="phone", from_s=1e9)
ARGS = {
    "who": "alice/phone",
    "to": "bob",
    "count": 1,
    "size": 0,
    "which": 0.0,
    "landing": 0,
    "down_s": 0.1,
    "for_s": 0.1,
    "by_s": 1.0,
    "way": "both",
    "delay_s": 0.1,
    "elsewhere": True,
    "lands": False,
    "from": "both",
}
"""What any action may ask for."""


class Closed(Error):
    """Whatever an application may be told."""


def any_action(kind, at_s=1.0, **args):
    return action(at_s, kind, **{**ARGS, **args})


@pytest.mark.parametrize("kind", ACTIONS)
def test_an_action_at_the_wrong_moment_does_nothing_bad(kind):
    nobody_there = plan(any_action(kind), seats=(LATE, BOB), length_s=2.0)
    assert () == watched(nobody_there)[0].violated
    after_the_end = [crash(1.0, "alice/phone", down_s=0.5), any_action(kind, 1.1)]
    assert () == watched(plan(*after_the_end, length_s=2.0))[0].violated


@pytest.mark.parametrize("kind", sorted(set(ACTIONS) - set(clusters._EVENTS)))
def test_an_action_at_the_right_moment_does_something_and_breaks_nothing(kind):
    before = [
        send(0.5, count=2),
        send(0.6, "bob/phone", "alice"),
        any_action("group", 0.7),
        any_action("back up", 0.8),
    ]
    idle, _, _ = watched(plan(*before, length_s=3.0))
    result, _, stage = watched(plan(*before, any_action(kind), send(1.5), length_s=3.0))
    unlike, _, _ = watched(plan(*before, send(1.5), length_s=3.0))
    assert () == idle.violated == result.violated
    assert any(words.startswith(kind) for _, words in stage.log)
    # A clock that is set shows in stamps, and a backup is copied in silence.
    assert kind in ("wall clock", "back up", "set aside") or result.trace != unlike.trace


# --- One by one, where the trace does not say enough ---


def states(result, world):
    return [world.history.last_state(msgid).name for msgid in world.history.sends]


def test_what_was_given_up_before_it_left_is_void():
    cut = any_action("cut", 0.9, for_s=1.5)
    result, world, _ = watched(plan(cut, send(1.0), any_action("cancel", 1.2), length_s=5.0))
    assert (["VOID"], ()) == (states(result, world), result.violated)


def test_who_crashes_comes_back_and_what_lands_is_counted():
    result, world, stage = watched(plan(send(1.0), crash(1.001, "alice/phone", 0.5, landing=1)))
    ((_, host, in_flight, landed),) = stage.crashes
    assert ("alice/phone", 1, 1) == (host, in_flight, landed)
    assert 2 == world.clients["alice/phone"].life
    assert 1 == result.account["recovered"] == result.account["acknowledged"]


def test_who_hangs_up_comes_back():
    _, world, _ = watched(plan(any_action("hang up", down_s=0.5)))
    assert 2 == world.clients["alice/phone"].life


def test_a_pause_ends():
    result, world, _ = watched(
        plan(send(1.0), any_action("pause", 0.9, who="bob/phone", for_s=2.0))
    )
    (handover,) = world.history.handovers
    assert 2.9 <= handover.at < 4.0
    assert () == result.violated


@pytest.mark.parametrize(("way", "pairs"), [("both", 2), ("up", 1), ("down", 1)])
def test_a_cut_is_mended(way, pairs):
    asked = plan(any_action("cut", way=way, for_s=0.5), seats=(BOB,))
    world = World("cut")
    world.server()
    stage = Stage(world, asked, b"canary")
    stage.do(asked.actions[0])
    assert pairs == len(world.network._cuts)
    world.run(0.6)
    assert 0 == len(world.network._cuts)


def test_a_replay_may_come_from_elsewhere():
    _, world, _ = watched(plan(any_action("replay", which=0.0, elsewhere=True)))
    (replayed,) = [crossing for crossing in world.network.trace if crossing.replayed]
    assert ELSEWHERE == replayed.source
    assert world.network.trace[0].data == replayed.data


@pytest.mark.parametrize("lands", [False, True])
def test_a_store_that_fails_is_repaired(lands):
    fails = any_action("store fails", 1.0, lands=lands)
    result, world, stage = watched(plan(fails, send(1.1), length_s=1.2 + REPAIR_S))
    assert 1 == stage.store_failures
    assert 2 == world.clients["alice/phone"].life
    assert () == result.violated


def test_a_copy_of_the_store_is_put_back():
    backed = [any_action("back up", 0.8), send(1.0), any_action("restore", 2.0)]
    result, world, _ = watched(plan(*backed))
    assert {"alice/phone"} == set(world.history.lost_disks)
    assert () == result.violated
    result, world, _ = watched(plan(*backed[1:]))
    assert {} == world.history.lost_disks


def test_what_an_application_is_refused_is_noted(monkeypatch):
    limits = {"outbox_messages_max": 16}
    _, _, stage = watched(plan(send(1.0, count=17), limits=limits))
    assert ["OutboxFull"] == stage.refused

    def refuse(*args, **options):
        raise Closed("going away")

    monkeypatch.setattr(VirtualClient, "send", refuse)
    _, _, stage = watched(plan(send(1.0)))
    assert ["Closed"] == stage.refused


def test_every_payload_shows_the_canary_and_is_another():
    _, world, stage = watched(plan(send(1.0, count=2, size=3000), send(2.0)))
    payloads = [one.payload for one in world.history.sends.values()]
    assert 3 == len(set(payloads))
    assert all(payload.startswith(stage.canary) for payload in payloads)
    assert 3000 == len(payloads[0])


def test_what_was_read_is_shown_so():
    read = any_action("read", 2.0, who="bob/phone")
    _, world, _ = watched(plan(send(1.0), read))
    assert [MessageState.READ.name] == states(None, world)


def test_what_was_left_out_changes_no_payload_after_it():
    """Payloads depend on how many sends were asked for, not on who was up."""
    down = crash(0.9, "alice/phone", down_s=0.3)
    _, one, _ = watched(plan(down, send(1.0), send(2.0)))
    _, other, _ = watched(plan(send(1.0), send(2.0)))
    assert [s.payload for s in one.history.sends.values()] == [
        s.payload for s in list(other.history.sends.values())[1:]
    ]


def test_nothing_is_done_after_the_end():
    world = World("end")
    stage = Stage(world, plan(), b"canary")
    stage.ended = True
    stage.do(any_action("lose server disk"))
    assert ([], {}) == (stage.log, world.history.lost_disks)
