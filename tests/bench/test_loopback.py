"""The loopback benchmark: real processes, counts that must be right, and no word about time."""

import json
import sys

import pytest

from udpim_bench import cli, loopback
from udpim_bench.measure import WrongCounts

ENDPOINTS = ["portable", *(["linux"] if sys.platform == "linux" else [])]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_quick_json_has_right_counts(endpoint, capsys):
    words = ["loopback", "--quick", "--json", "--no-progress", "--endpoint", endpoint]
    assert 0 == cli.main(words)
    out, err = capsys.readouterr()
    assert "" == err
    report = json.loads(out)
    assert report["quick"]
    assert 25_000 == report["goal_messages_per_s"]
    assert ["memory", "sqlite"] == [case["store"] for case in report["cases"]]
    for case, messages in zip(report["cases"], (200, 50), strict=True):
        warm_up = messages // loopback.WARM_UP_RATIO
        total = messages + warm_up
        assert {"sent": total, "handled": total, "receipted": messages} == case["counts"]
        assert (4, 1000, 128) == (case["streams"], case["window"], case["message_bytes"])
        assert {"median", "min", "max", "iqr"} <= case["messages_per_s"].keys()
        assert 1 == len(case["samples"])
        assert "require" == case["security"]
        assert 0 == case["sender"]["outbox"]["open_messages"]
        assert ("runs_sent" in case["server"]["endpoint"]) == (endpoint == "linux")


def test_people_get_rate_cost_and_latency(capsys, tmp_path):
    words = ["loopback", "--messages", "50", "--repeat", "2", "--store", "memory", "--window", "7"]
    words += ["--security", "plain"]
    assert 0 == cli.main([*words, "--streams", "2", "--size", "8", "--profile", str(tmp_path)])
    out, err = capsys.readouterr()
    assert "50 messages of 8 bytes, window 7 over 2 streams" in out
    assert "messages/s" in out
    assert "µs CPU a message at the server" in out
    assert "p99" in out
    assert "sqlite" not in out
    assert "2/2 memory, plaintext" in err
    assert {"memory-server.prof", "memory-clients.prof"} == {f.name for f in tmp_path.iterdir()}


CASE = loopback.Case(store="memory", endpoint=None, messages=10, window=5, streams=1, size_bytes=16)


def test_missing_messages_are_wrong_counts(monkeypatch):
    real = loopback.Process.ask

    def one_less(self, line):
        answer = real(self, line)
        if "handled" in answer:
            answer["handled"] -= 1
        return answer

    monkeypatch.setattr(loopback.Process, "ask", one_less)
    with pytest.raises(WrongCounts, match=r"'handled': 11, 'receipted': 10\} of 12, 10 measured"):
        loopback.once(CASE)


def test_a_process_that_dies_is_an_error():
    process = loopback.Process(["server", "--folder", "/dev/null/nowhere"], None)
    try:
        with pytest.raises(WrongCounts, match=r"^server: .*nowhere"):
            process.read()
        with pytest.raises(WrongCounts, match="a process died"):
            process.read()
        with pytest.raises(WrongCounts, match="ended with code 1"):
            process.end()
    finally:
        process.kill()


def test_a_process_that_hangs_is_an_error(monkeypatch):
    process = loopback.Process(["server"], None)
    try:
        monkeypatch.setattr(loopback, "END_S_MAX", 0)
        with pytest.raises(WrongCounts, match="does not end"):
            process.end()
    finally:
        process.kill()


@pytest.mark.parametrize("size", ["7", "1048577", "x"])
def test_a_size_without_room_is_a_usage_error(size, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["loopback", "--size", size])
    assert 2 == caught.value.code
    assert "--size" in capsys.readouterr().err
