"""The arguments of ``udpim sim``: which module they lead to, and what they are by default."""

import pytest

from udpim.cli.command import make_parser
from udpim.cli.sim import _ACTIONS
from udpim.cli.sim_arguments import BUGS

ARGS = {
    "run": (["--seeds", "3"], {"seeds": 3, "minutes": None, "first": 0, "jobs": None}),
    "replay": (["7"], {"what": "7", "story": False, "tape": None}),
    "shrink": (["7"], {"what": "7", "out": None, "minutes": 10}),
    "exhaustive": ([], {"exchange": "both", "jobs": None}),
    "calibrate": (["a", "b"], {"bugs": BUGS, "names": ["a", "b"], "jobs": None}),
}


@pytest.mark.parametrize("action", _ACTIONS)
def test_every_action_has_arguments_that_lead_to_it(action):
    words, wanted = ARGS[action]
    args = vars(make_parser().parse_args(["sim", action, *words]))
    assert {**args, **wanted, "module": "sim", "action": action, "json": False} == args


def test_help_names_every_action(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["sim", "--help"])
    told = capsys.readouterr().out
    assert all(action in told for action in _ACTIONS)
