"""A report passes only a run that was clean, on a network that was bad, with a server replaced."""

import json
from dataclasses import replace

import pytest

from udpim.cli.audit import Verdict
from udpim.cli.relay import Counters
from udpim.cli.report import DemoReport, PairReport

CLEAN = Verdict(sent=10, delivered=10)


def pair(verdict=CLEAN, sender="alice"):
    return PairReport(
        sender=sender,
        recipient="bob",
        verdict=verdict,
        delivery_s=[0.01, 0.03],
        receipt_s=[0.02],
    )


PASSED = DemoReport(
    options={"loss": 0.2, "security": "require"},
    facts={},
    messages=20,
    expected=20,
    pairs=[pair(), pair()],
    up=Counters(received=9, dropped=2, sent=7),
    down=Counters(received=8, dropped=1, sent=7),
    sent={"msg:R": 5, "login": 1, "ack:N": 4, "tally": 2},
    resent={"msg:R": 2},
    pids=[17, 18],
    killed_at=11,
    login_s=0.5,
    gather_s=0.0,
    traffic_s=1.5,
    trouble=[],
)


def test_a_clean_run_passes(capsys):
    assert [] == PASSED.problems()
    PASSED.print()
    out = capsys.readouterr().out
    assert "passed in 1.5 s" in out
    assert "server killed after 11 of 20 messages: pid 17 → 18" in out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"up": Counters(received=9, sent=9)}, "dropped 0 up and 1 down"),
        ({"down": Counters()}, "dropped 2 up and 0 down"),
        ({"pids": [17]}, "never replaced"),
        ({"pids": [17, 17]}, "never replaced"),
        ({"killed_at": None}, "never replaced"),
        ({"killed_at": 20}, "in the middle"),
        ({"trouble": ["not finished within 3 s"]}, "not finished within 3 s"),
        ({"pairs": []}, "nothing was sent"),
        *(
            ({"pairs": [pair(), pair(replace(CLEAN, **{key: 1}))]}, words)
            for key, words in {
                "lost": "1 lost",
                "duplicated": "1 duplicated",
                "altered": "1 altered",
                "out_of_order": "1 out of order",
                "false_receipts": "1 with a false receipt",
                "unsettled": "1 without a final receipt",
            }.items()
        ),
        ({"pairs": [pair(replace(CLEAN, delivered=9))], "expected": 10}, "only 9 of 10"),
        ({"expected": 21}, "20 of 21 messages were sent"),
    ],
)
def test_whatever_is_wrong_fails_it(capsys, change, words):
    report = replace(PASSED, **change)
    assert any(words in problem for problem in report.problems())
    assert not report.to_dict()["ok"]
    report.print()
    assert "FAILED" in capsys.readouterr().out


def test_without_loss_asked_for_nothing_need_be_dropped():
    calm = Counters(received=9, sent=9)
    assert (
        []
        == replace(PASSED, options={"loss": 0, "security": "plain"}, up=calm, down=calm).problems()
    )


def test_json_holds_the_numbers():
    found = json.loads(json.dumps(PASSED.to_dict()))
    assert found["ok"]
    assert 20 == found["total"]["delivered"]
    assert {"p50": 10.0, "p99": 30.0} == found["directions"]["alice → bob"]["delivery_ms"]
    assert {"sent": 5, "resent": 2} == found["im_packets"]["msg:R"]
    assert (20, 20) == (found["messages"], found["deliveries"])
    assert 6 / 20 == found["receipt_packets_per_message"]
    assert (2, [17, 18]) == (found["relay"]["up"]["dropped"], found["server_pids"])


def test_times_that_were_not_measured_are_shown_as_such(capsys):
    blank = replace(pair(), delivery_s=[], receipt_s=[])
    replace(PASSED, pairs=[blank]).print()
    assert "–" in capsys.readouterr().out


REPLAYED = replace(
    PASSED,
    facts={
        "file": "logs/a\x1b[2J.txt",
        "nicks": 8,
        "pairs": 7,
        "message_lines": 70,
        "skipped_lines": 3,
        "skipped": {"status": 2, "blank": 1},
    },
    expected=70,
    pairs=[pair(sender=f"nick{n}") for n in range(7)],
)


def test_a_replay_says_what_was_in_the_log(capsys):
    REPLAYED.print()
    out = capsys.readouterr().out
    assert "70 messages of 8 nicks to each other, 7 pairs" in out
    assert "3 other lines skipped (2 status, 1 blank)" in out
    assert "\x1b" not in out
    found = json.loads(json.dumps(REPLAYED.to_dict()))
    assert REPLAYED.facts == found["replay"]
    assert 7 == len(found["directions"])
    assert None is PASSED.to_dict()["replay"]


def test_many_pairs_are_summed_up_and_only_those_in_trouble_are_named(capsys):
    REPLAYED.print()
    assert "nick" not in capsys.readouterr().out.replace("8 nicks", "")
    broken = replace(CLEAN, delivered=8, lost=2, unsettled=1)
    pairs = [pair(broken, f"nick{n}") for n in range(7)] + [pair(sender="fine")]
    replace(REPLAYED, pairs=pairs).print()
    out = capsys.readouterr().out
    assert "nick4 → bob: 2 lost, 1 without a final receipt\n… and 2 more\n" in out
    assert "fine" not in out


GROUP = replace(
    REPLAYED,
    options={"loss": 0.2, "group": True, "security": "plain"},
    messages=5,
    gather_s=1.25,
    pairs=[replace(pair(sender="ann"), recipient="#replay") for _ in range(7)],
)


def test_a_group_s_report_counts_deliveries(capsys):
    GROUP.print()
    out = capsys.readouterr().out
    assert "server killed after 11 of 70 deliveries" in out
    assert "5 messages to a group, 70 deliveries; 1.2 receipt packets for each message" in out
    assert "everybody was a member after 1.2 s" in out
    assert ["70 of 71 deliveries were sent"] == replace(GROUP, expected=71).problems()
