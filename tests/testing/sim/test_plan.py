"""A plan is plain data: JSON brings it back as it was."""

import json

import pytest

from tests.testing.sim.plans import ALICE, plan, send
from udpim.testing.sim.plan import Action, Seat, from_json, to_json
from udpim.testing.sim.swarm import draw


@pytest.mark.parametrize("seed", [str(number) for number in range(50)])
def test_json_brings_a_plan_back(seed):
    drawn = draw(seed)
    assert drawn == from_json(json.loads(json.dumps(to_json(drawn))))


@pytest.mark.parametrize("part", ["server", "seats", "actions"])
def test_what_has_other_fields_is_no_plan(part):
    value = to_json(plan(send(1.0)))
    one = value[part] if part == "server" else value[part][0]
    one["unknown"] = 1
    with pytest.raises(TypeError, match="unknown"):
        from_json(value)


def test_a_seat_is_named_as_its_host():
    assert "alice/phone" == ALICE.host
    assert "server" == Seat(user="server").host


def test_an_action_tells_what_it_is():
    told = str(Action(at_s=1.0, kind="crash", args={"who": "bob/phone", "landing": 1}))
    assert "crash who=bob/phone landing=1" == told
    assert "lose server disk" == str(Action(at_s=1.0, kind="lose server disk"))
