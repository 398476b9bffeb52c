"""The story of a run names what was done, what was lost, and what became of each message."""

from dataclasses import asdict

from tests.semantics.mutants.every import MUTANTS
from tests.semantics.mutants.mutant import planted
from tests.testing.sim.plans import action, crash, plan, receipt_is_cut_off, send, watched
from udpim.testing.faults import Loss
from udpim.testing.sim.run import run
from udpim.testing.sim.shrink import shrink
from udpim.testing.sim.story import tell


def told(*args):
    _, world, stage = watched(*args)
    return list(tell(world.history, stage))


def test_the_story_of_a_shrunk_run_names_the_loss_and_the_messages():
    with planted(MUTANTS["dedup_dies_with_the_process"]):
        small = shrink(run(receipt_is_cut_off())).result
        story = told(small.plan, small.tape)
    assert any("*              send who=alice/phone to=bob count=1" in line for line in story)
    assert any("→ server" in line and "ack:R" in line and line.endswith("— CUT") for line in story)
    assert any(line.endswith("bob/phone      dies") for line in story)
    committed = "bob/phone        has committed alice/phone→bob#1"
    assert 2 == sum(committed in line for line in story)
    assert len(story) < 150


def test_a_story_is_told_in_order():
    times = [float(line.split()[0]) for line in told(plan(send(1.0), crash(1.5, "bob/phone")))]
    assert times == sorted(times)
    assert len(times) > 20


def test_everything_that_makes_a_receipt_true_is_told():
    story = "\n".join(line[14:] for line in told(plan(send(1.0))))
    for words in (
        "alice/phone    → server #",
        "has accepted alice/phone→bob#1",
        "hands alice/phone→bob#1 to its application",
        "alice/phone      shows alice/phone→bob#1 DELIVERED",
    ):
        assert words in story
    assert "\n→" not in story


def test_who_is_away_has_a_row_and_who_gives_up_a_promise():
    away = crash(0.9, "bob/phone", down_s=2.0)
    story = "\n".join(told(plan(away, send(1.0), action(2.0, "cancel", which=0.0), length_s=5.0)))
    assert "has queued alice/phone→bob#1 for bob/phone" in story
    assert "has promised never to deliver alice/phone→bob#1" in story


def test_a_crash_in_a_write_says_what_was_in_flight_and_what_landed():
    story = told(plan(send(1.0), crash(1.001, "alice/phone", landing=1)))
    (line,) = [line for line in story if "dies" in line]
    assert line.endswith("alice/phone    dies, 1 transactions in flight, 1 of them land")


def test_what_says_nothing_is_told_only_where_it_got_lost():
    cut = action(2.0, "cut", "bob/phone", way="both", for_s=60.0)
    story = told(plan(send(1.0), cut, length_s=62.0))
    idle = [line for line in story if line.endswith(" PING") or " PING —" in line]
    assert idle
    assert all("— CUT" in line for line in idle)


def test_replays_copies_and_damage_are_told_as_such():

    again = action(1.5, "replay", which=0.0, elsewhere=False, delay_s=0.01)
    link = asdict(Loss.none().delay(0.02).duplicate(0.5).corrupt(0.2))
    story = "\n".join(told(plan(send(1.0), again, link=link)))
    assert "somebody       → server" in story
    assert ", arriving more than once" in story
    assert ", damaged" in story
