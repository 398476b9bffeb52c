"""The report of the micro benchmark: complete, and honest about budgets."""

from udpim.crypto.security import AES_SHA256, CHACHA_BLAKE2S
from udpim_bench import micro
from udpim_bench.exchange import Shape

ONE = Shape(in_flight=1000, streams=1)
FOUR = Shape(in_flight=1000, streams=4)
FEW = Shape(in_flight=10, streams=1)
PIPE = Shape(in_flight=1000, streams=10, per_round=10)
SEALED = Shape(in_flight=1000, streams=1, suite=CHACHA_BLAKE2S)
SEALED_AES = Shape(in_flight=1000, streams=1, suite=AES_SHA256)
LONG_PIPE = Shape(in_flight=10_000, streams=10, per_round=10)


def budget_of(**medians):
    shapes = {"one": ONE, "four": FOUR, "few": FEW, "pipe": PIPE, "long_pipe": LONG_PIPE}
    shapes |= {"sealed": SEALED, "sealed_aes": SEALED_AES}
    values = dict.fromkeys(shapes, 30.0) | medians
    plan = micro.Plan(
        repeat=3, codec_operations=1, hop_bursts=1, messages=1, shapes=tuple(shapes.values())
    )
    costs = {shape.name: [1.0, values[key], 99.0] for key, shape in shapes.items()}
    return micro._budget(plan, costs)


def judged(**medians):
    budget = budget_of(**medians)
    return tuple(budget[key] for key in ("window_1000_kept", "bursts_kept", "pipes_kept"))


def test_the_full_plan_covers_the_budgets():
    shapes = micro.full_plan(7).shapes
    bursts = {(s.in_flight, s.streams) for s in shapes if s.per_round is None}
    assert {(1000, 1), (1000, 4)} <= bursts
    assert {10, 100, 1000, 10_000} == {in_flight for in_flight, _ in bursts}
    assert [10, 100, 1000, 10_000] == [s.in_flight for s in shapes if s.per_round == 10]


def test_budgets_are_judged_by_medians():
    assert (True, True, True) == judged()
    assert (True, True, True) == judged(one=40.0, four=40.0, few=40.0)


def test_either_way_to_spread_the_window_may_break_the_budget():
    assert not judged(one=40.1)[0]
    assert not judged(four=40.1)[0]


def test_each_shape_is_held_against_its_own_1000_in_flight():
    assert (True, False, True) == judged(few=36.1)
    assert (True, False, True) == judged(few=23.9)
    assert (True, True, False) == judged(long_pipe=36.1)
    assert (True, True, True) == judged(pipe=300.0, long_pipe=350.0)


def test_encryption_is_held_against_plaintext_in_the_same_shape():
    told = budget_of(sealed=40.0, sealed_aes=60.0)
    assert told["encrypted_kept"]
    assert {SEALED.name: 1.333, SEALED_AES.name: 2.0} == told["encrypted_relative_to_plaintext"]
    assert not budget_of(sealed=40.6)["encrypted_kept"]
    assert (True, True, True) == judged(sealed=300.0)
