"""The campaign of wrong datagrams: all of them accounted for, and the conversation unharmed."""

import copy
import json

import pytest

from udpim_bench import cli, garbage
from udpim_bench.garbage_peer import Garbage


@pytest.fixture(scope="module")
def report():
    return garbage.run(5000, 50_000, 7, lambda line: None)


def test_every_datagram_is_accounted_for_and_the_conversation_goes_on(report):
    thrown, server, talked = report["garbage"], report["server"], report["conversation"]
    assert 5000 == thrown["sent"] == sum(thrown["kinds"].values())
    assert thrown["kinds"].keys() == {kind.__name__ for kind in Garbage(1, [b"x"]).kinds}
    assert 0 == server["unaccounted"]
    assert server["received"] + server["lost_in_the_kernel"] >= 5000
    assert talked["sent"] == talked["handled"]
    assert sum(talked["sent"]) == talked["receipts"] > 0
    assert [1, 1] == talked["logins"]
    assert thrown["reply_bytes"] <= thrown["sent_bytes"]
    # How fast it went is for the report to say.
    assert all("datagrams/s" in problem for problem in report["problems"])


WRONG = {
    "only 4999 datagrams/s": ("garbage", "per_s", 4999),
    "3 datagrams are not accounted for": ("server", "unaccounted", 3),
    "more bytes were answered": ("garbage", "reply_bytes", 10**12),
    "the server grew": ("server", "rss_most", 10**12),
    "receipts": ("conversation", "receipts", 1),
    "a connection was lost": ("conversation", "logins", [1, 2]),
}


@pytest.mark.parametrize("words", WRONG)
def test_every_wrong_figure_is_a_problem(report, words):
    changed = copy.deepcopy(report)
    changed["garbage"]["per_s"] = 8000
    assert [] == garbage.judge(changed)
    part, key, value = WRONG[words]
    changed[part][key] = value
    (problem,) = garbage.judge(changed)
    assert words in problem


def test_what_the_counters_do_not_name_is_found():
    stats = {
        "endpoint": {"datagrams_received": 100},
        "hop": {"datagrams_received": 50},
        "listener": {
            "connections_accepted": 1,
            "hellos_repeated": 2,
            "retries_sent": 2,
            "resets_sent": 0,
            "versions_sent": 0,
        },
        "drops": {
            "hop: not authentic": 20,
            "listener: not a HELLO": 15,
            "node: of another kind": 7,
            "endpoint: receive buffer full": 9,
        },
    }
    told = garbage.account(stats)
    assert (10, 9) == (told["unaccounted"], told["lost_in_the_kernel"])
    assert 2 == len(told["drops"])
    assert {"WELCOME": 3, "RETRY": 2} == told["answered"]


def test_the_command_prints_for_people_and_as_json(report, monkeypatch, capsys):
    seen = []

    def run(*words):
        seen.append(words[:3])
        return report | {"problems": []}

    monkeypatch.setattr(garbage, "run", run)
    assert 0 == cli.main(["garbage", "--datagrams", "5000", "--seed", "3"])
    out, _ = capsys.readouterr()
    assert "5000 wrong datagrams" in out
    assert "0 not accounted for" in out
    assert "handled once and in order" in out
    assert 0 == cli.main(["garbage", "--json", "--rate", "6000"])
    assert report["garbage"] == json.loads(capsys.readouterr().out)["garbage"]
    assert [(5000, 8000, 3), (1_000_000, 6000, 1)] == seen
