"""The command: JSON on standard output, errors as one line and an exit code."""

import json

import pytest

from udpim_bench import cli, flat, micro
from udpim_bench.measure import WrongCounts


def test_quick_json_has_right_counts(capsys):
    assert 0 == cli.main(["micro", "--quick", "--json", "--repeat", "1", "--no-progress"])
    out, err = capsys.readouterr()
    assert "" == err
    report = json.loads(out)
    assert report["quick"]
    assert {"python", "cores", "commit"} <= report["environment"].keys()
    assert {"struct", "construct"} == {row["codec"] for row in report["codecs"]}
    assert all(row["counts"]["frames"] == 256 for row in report["hop_pair"])
    assert {"burst", "pipe"} == {row["shape"] for row in report["exchange"]}
    for row in report["exchange"]:
        counts = row["counts"]
        assert counts["sent"] == counts["delivered"] == counts["receipted"] >= 2200
        assert row["in_flight"] == counts["in_flight_max"]
        assert {"median", "min", "max", "iqr"} <= row["us_per_message"].keys()
        assert 1 == len(row["samples"])


def test_people_get_a_table_and_progress(capsys):
    assert 0 == cli.main(["micro", "--quick", "--repeat", "1"])
    out, err = capsys.readouterr()
    assert "A → S → B → A" in out
    assert "msg:R" in out
    assert "warming up burst" in err


def test_wrong_counts_end_with_one_line_and_exit_1(capsys, monkeypatch):
    def wrong(plan, progress):
        raise WrongCounts("burst: 3 sent, 2 delivered, 2 receipted")

    monkeypatch.setattr(micro, "run", wrong)
    assert 1 == cli.main(["micro", "--quick"])
    out, err = capsys.readouterr()
    assert "" == out
    assert "udpim_bench: burst: 3 sent, 2 delivered, 2 receipted\n" == err


def test_ctrl_c_has_the_shell_s_exit_code(monkeypatch):
    def interrupted(plan, progress):
        raise KeyboardInterrupt

    monkeypatch.setattr(micro, "run", interrupted)
    assert 130 == cli.main(["micro"])


@pytest.mark.parametrize("words", [[], ["micro", "--repeat", "0"], ["macro"]])
def test_wrong_usage_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert 2 == caught.value.code
    assert "usage: udpim_bench" in capsys.readouterr().err


@pytest.mark.parametrize(("is_flat", "code"), [(True, 0), (False, 1)])
def test_flat_exits_by_its_verdict(is_flat, code, capsys, monkeypatch):
    asked = []

    def run(plan, repeat, progress, *, by_time):
        asked.append(({series.case for series in plan}, repeat, by_time))
        return {"series": [], "flat": is_flat}

    monkeypatch.setattr(flat, "run", run)
    monkeypatch.setattr(flat, "lines", lambda report: [])
    assert code == cli.main(["flat", "--json", "--case", "hop", "--repeat", "3"])
    assert code == cli.main(["flat", "--json", "--quick"])
    assert [({"hop"}, 3, True), (set(flat.CASES), 1, False)] == asked
    assert f'"flat": {str(is_flat).lower()}' in capsys.readouterr().out


def test_flat_runs_from_the_command_line(capsys):
    words = ["flat", "--quick", "--case", "hop", "--no-progress"]
    assert 0 == cli.main(words)
    out, err = capsys.readouterr()
    assert "datagrams in flight: frame, flat" in out
    assert "" == err
