"""A run is a function of its plan and its choices, and ends with a name for what was violated."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("apsw", reason="needs the extra sim")

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import planted
from tests.testing.sim.plans import ALICE, BOB, LOSSY, action, crash, cut_short, plan, send, watched
from udpim.errors import ConfigError
from udpim.testing.oracle import Violated
from udpim.testing.sim import run as module
from udpim.testing.sim.plan import Seat
from udpim.testing.sim.run import build, judged, run
from udpim.testing.sim.swarm import draw

ROOT = Path(__file__).parents[3]
SEEDS = 200
SECONDS = 1.5
"""How much of each seed's plan is played: the start of everybody, and the first messages."""
TRACES = f"""
import hashlib
from tests.testing.sim.plans import cut_short
from udpim.testing.sim.run import run
from udpim.testing.sim.swarm import draw
from udpim.testing.sim.tape import Recording

for seed in range({SEEDS}):
    result = run(cut_short(draw(str(seed)), {SECONDS}))
    tape = hashlib.sha256(Recording.of(result).dump().encode()).hexdigest()
    print(seed, result.trace, tape, sorted(result.labels), dict(result.account))
"""


def test_a_trace_depends_on_the_seed_alone():
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRACES],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": number},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in ("1", "4242")
    ]
    one, other = (process.communicate(timeout=110)[0].splitlines() for process in processes)
    assert SEEDS == len(one)
    assert SEEDS == len({line.split()[1] for line in one})
    assert one == other


def test_nothing_else_changes_where_nobody_asks_for_the_trace():
    drawn = plan(send(1.0, count=3), link=LOSSY)
    result = run(drawn)
    assert result.trace
    assert replace(result, trace="") == run(drawn, hashed=False)


@pytest.mark.parametrize("seed", ["3", "8", "15", "23"])
def test_the_tape_of_a_run_plays_the_same_run(seed):
    drawn = cut_short(draw(seed), 4.0)
    result = run(drawn)
    assert result == run(drawn, result.tape)


def test_a_tape_survives_json():
    drawn = plan(send(1.0, count=3), link=LOSSY)
    result = run(drawn)
    decisions = json.loads(json.dumps(list(result.tape.items())))
    again = {label: {int(n): v for n, v in made.items()} for label, made in decisions}
    assert result.trace == run(drawn, again).trace


def test_a_shorter_tape_has_fewer_faults():
    drawn = plan(send(1.0, count=3), send(1.5, "bob/phone", "alice"), link=LOSSY)
    whole = run(drawn).tape
    shorter = {label: dict(list(made.items())[::2]) for label, made in whole.items()}
    played = run(drawn, shorter)
    assert played.faults["lost"] < run(drawn, whole).faults["lost"]
    assert all(made.items() <= shorter[label].items() for label, made in played.tape.items())
    assert 0 == run(drawn, {}).faults["lost"]


def test_other_dice_make_another_run():
    one, other = (run(plan(send(1.0, count=3), link=LOSSY, seed=seed)) for seed in ("1", "2"))
    assert one.trace != other.trace


# --- What a failure is called ---


def refused():
    raise Violated([("i1_no_loss", "gone"), ("i2_no_duplicate", "twice"), ("i1_no_loss", "too")])


def never_settled():
    raise AssertionError("not settled within 100 s")


def asserted():
    raise AssertionError("of the product")


def broken():
    raise ZeroDivisionError("of the product")


@pytest.mark.parametrize(
    ("play", "names", "words"),
    [
        (lambda: None, (), ""),
        (refused, ("i1_no_loss", "i2_no_duplicate"), "i2_no_duplicate: twice"),
        (never_settled, ("i14_liveness",), "not settled within 100 s"),
        (asserted, ("AssertionError in asserted",), "of the product"),
        (broken, ("ZeroDivisionError in broken",), "of the product"),
    ],
)
def test_what_ends_a_run_has_a_name(play, names, words):
    violated, story = judged(play)
    assert names == violated
    assert words in story


def test_a_run_without_trouble_holds():
    result = run(plan(send(1.0, count=2), send(1.2, "bob/phone", "alice"), encrypted=True))
    assert ((), "") == (result.violated, result.story)
    assert (3, 3, 3) == tuple(result.account[n] for n in ("attempts", "delivered", "receipted"))
    assert result.datagrams > 20


@pytest.mark.parametrize("name", ["receipt_before_commit", "message_leaves_before_its_row"])
def test_a_planted_bug_is_named_by_its_invariant(name):
    with planted(MUTANTS[name]):
        result = run(plan(send(1.0)))
    assert ("i7_promise_after_durable",) == result.violated


def test_a_bug_that_raises_is_a_violation(monkeypatch):
    def over_budget(world):
        raise KeyError("a table")

    monkeypatch.setattr(module, "over_budget", over_budget)
    result = run(plan(send(1.0)))
    assert ("KeyError in over_budget",) == result.violated
    assert 1 == result.account["attempts"]


@pytest.mark.parametrize("check", ["no_amplification", "no_plaintext", "over_budget"])
def test_every_further_check_is_made(monkeypatch, check):
    def complains(*args):
        if check == "over_budget":
            raise Violated([(check, "too much")])
        return ["too much"]

    monkeypatch.setattr(module, check, complains)
    result = run(plan(send(1.0), encrypted=True))
    assert ((check,), f"{check}: too much") == (result.violated, result.story)


def test_plaintext_is_found_where_it_must_not_be(monkeypatch):
    # Words that every datagram has are seen in one.
    monkeypatch.setattr(
        module, "Random", lambda seed: type("D", (), {"randbytes": lambda s, n: b""})()
    )
    assert ("no_plaintext",) == run(plan(send(1.0), encrypted=True)).violated
    assert () == run(plan(send(1.0))).violated


def test_a_quiet_end_is_watched(monkeypatch):
    watched_for = []
    original = module.World.check_quiet
    monkeypatch.setattr(
        module.World, "check_quiet", lambda world: watched_for.append(original(world))
    )
    assert () == run(plan(send(1.0), quiet=True)).violated
    assert [None] == watched_for
    run(plan(send(1.0)))
    run(plan(send(1.0), quiet=True, kinds=("replay",)))
    assert [None] == watched_for


# --- What a plan asks for is there ---


def test_a_world_has_what_its_plan_says():
    memory = Seat(user="bob", device="phone", durable=False, sync_s=0.1, handle_after_s=-1.0)
    drawn = plan(
        send(1.0),
        seats=(ALICE, memory),
        limits={"queue_messages_max": 7},
        nat_s=30.0,
        exchange="four",
        key_update_packets=5,
        encrypted=True,
    )
    result, world, _ = watched(drawn)
    bob = world.clients["bob/phone"]
    assert (False, 0.1) == (bob.store.durable, bob.store.sync_s)
    assert {7} == {p.config.limits.queue_messages_max for p in world.processes}
    assert "four" == bob.config.exchange
    assert {"nat of bob/phone"} <= {c.seen_from[0] for c in world.network.trace if c.seen_from}
    assert any(c.content.nonce and c.content.nonce[1] for c in world.network.trace)
    assert () == result.violated


def test_who_comes_late_gets_what_was_sent_before():
    late = Seat(user="bob", device="phone", from_s=3.0)
    result, world, _ = watched(plan(send(1.0), seats=(ALICE, late)))
    first = min(c.sent_at for c in world.network.trace if c.source[0] == "bob/phone")
    assert 3.0 == first
    assert (1, ()) == (result.account["delivered"], result.violated)


def test_at_the_end_everybody_is_up_and_healed():
    drawn = plan(send(1.0), crash(1.5, "bob/phone", down_s=1000.0), length_s=2.0)
    result, world, stage = watched(drawn)
    assert all(process.up for process in world.processes)
    assert stage.ended
    assert (1, ()) == (result.account["delivered"], result.violated)


def test_a_store_that_fails_at_the_very_end_is_repaired_as_well():
    fails = action(1.9, "store fails", who="alice/phone", lands=True)
    result, world, stage = watched(plan(fails, send(1.999), length_s=2.0))
    assert (1, 2) == (stage.store_failures, world.clients["alice/phone"].life)
    assert () == result.violated


def test_writes_are_dangerous_where_a_plan_says_so():
    sends = [send(1.0 + n / 10) for n in range(5)]
    result, _, stage = watched(plan(*sends, crash_ratio=0.3))
    assert stage.crashes
    assert all("crash in a write" in label for label in result.tape)
    assert () == result.violated
    _, _, stage = watched(plan(*sends), result.tape)
    assert [] == stage.crashes


def test_power_losses_want_their_extra(monkeypatch):
    assert () == run(plan(send(1.0), crash(1.5, "bob/phone"), disk="power")).violated
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="udpim\\[sim\\]"):
        run(plan(disk="power"))


def test_nobody_is_up_in_a_new_world_but_the_server():
    drawn = plan(seats=(ALICE, BOB))
    world = build(drawn, module.Choices(drawn.seed))
    assert ["server"] == [process.host for process in world.processes if process.up]


def test_what_was_lost_is_named_as_its_decisions_are():
    sends = [send(n / 10, *who) for n in range(1, 30) for who in ((), ("bob/phone", "alice"))]
    cut = action(1.0, "cut", "bob/phone", way="both", for_s=0.5)
    again = action(2.0, "replay", which=0.5, delay_s=0.1, elsewhere=False)
    lossy = plan(*sends, cut, again, link=LOSSY)
    assert () == run(lossy).lost
    with planted(MUTANTS["receipt_before_commit"]):
        result = run(lossy)
    decided = {(label, n) for label, made in result.tape.items() for n in made}
    named = {(f"{one.source} > {one.destination}: loss", one.number) for one in result.lost}
    assert len(result.lost) > 20
    assert decided == named
    assert list(result.lost) == sorted(result.lost, key=lambda one: one.at_s)
