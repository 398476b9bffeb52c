"""Handshakes a second: the work is done, and who is too slow is named."""

import copy
import json

import pytest

from udpim.hop.listen import Listener
from udpim_bench import cli, handshakes
from udpim_bench.measure import WrongCounts

NAMES = ["Noise_XK_25519_ChaChaPoly_BLAKE2s", "Noise_XK_25519_AESGCM_SHA256", "plaintext"]
PLAN = handshakes.Plan(handshakes=10, repeat=2, judged=True)


def quiet(line):
    """Nobody wants to know."""


def test_each_handshake_is_three_datagrams_and_one_with_data():
    for suite, datagrams in ((1, 3), (2, 3), (None, 2)):
        case = handshakes.Handshakes(suite, 10)
        assert 10 == case.run()
        case.check()
        assert 10 * datagrams == case.datagrams, "to the server"


def test_as_many_follow_each_other_as_one_wants():
    """The server's limits for unproven addresses are met by the time between them."""
    case = handshakes.Handshakes(1, 1200)
    case.run()
    case.check()


def test_who_is_too_slow_is_named():
    report = handshakes.run(PLAN, quiet)
    assert NAMES == [row["handshake"] for row in report["rows"]]
    rows = copy.deepcopy(report["rows"])
    for row in rows:
        row["per_s"]["median"] = handshakes.PER_S_MIN
    assert [] == handshakes.judge(rows)
    rows[1]["per_s"]["median"] = handshakes.PER_S_MIN - 1
    assert [f"{NAMES[1]}: 749 handshakes/s, 750 are wanted"] == handshakes.judge(rows)


def test_a_handshake_that_fails_is_not_counted(monkeypatch):
    monkeypatch.setattr(Listener, "_on_finish", lambda self, packet, arrival: None)
    case = handshakes.Handshakes(1, 3)
    with pytest.raises(KeyError):
        case.run()
    monkeypatch.setattr(Listener, "datagrams_to_send", lambda self, now: [])
    case = handshakes.Handshakes(1, 3)
    case.run()
    with pytest.raises(WrongCounts, match="0 of 3 handshakes"):
        case.check()


def test_the_command_prints_a_line_for_each_kind(capsys):
    assert 0 == cli.main(["handshakes", "--quick", "--no-progress", "--repeat", "1"])
    out, err = capsys.readouterr()
    assert ["both", *NAMES] == [line.split()[0] for line in out.splitlines()]
    assert "" == err
    assert 0 == cli.main(["handshakes", "--quick", "--no-progress", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert NAMES == [row["handshake"] for row in report["rows"]]
    assert {"median", "min", "max"} <= report["rows"][0]["per_s"].keys()
