"""Choices are the same for the same seed, apart from each other, and can be played again."""

from udpim.testing.choices import Choices


def rolls(choices, label, count=50):
    stream = choices.stream(label)
    return [stream.decide(lambda dice: dice.randrange(3)) for _ in range(count)]


def test_a_seed_decides_the_same_again():
    assert rolls(Choices(7), "a") == rolls(Choices(7), "a")
    assert rolls(Choices(7), "a") != rolls(Choices(8), "a")


def test_a_draw_under_one_label_shifts_no_other():
    alone, beside = Choices(7), Choices(7)
    rolls(beside, "b", 1)
    assert rolls(alone, "a") == rolls(beside, "a")


def test_a_tape_holds_what_is_not_zero_and_plays_it_again():
    first = Choices(7)
    decided = rolls(first, "a")
    tape = first.tape()
    assert {"a": {n: value for n, value in enumerate(decided) if value}} == tape
    second = Choices(8, tape)
    assert decided == rolls(second, "a")
    assert tape == second.tape()


def test_a_shorter_tape_is_the_same_run_with_fewer_faults():
    first = Choices(7)
    decided = rolls(first, "a")
    tape = first.tape()
    gone = next(iter(tape["a"]))
    del tape["a"][gone]
    again = rolls(Choices(7, tape), "a")
    assert [n for n in range(50) if again[n] != decided[n]] == [gone]


def test_chance_is_all_or_nothing_at_its_ends():
    stream = Choices(7).stream("a")
    assert [False] * 20 == [stream.chance(0.0) for _ in range(20)]
    assert [True] * 20 == [stream.chance(1.0) for _ in range(20)]
