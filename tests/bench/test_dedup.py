"""What a recipient keeps of a stream: bounds that hold, and that can fail."""

import copy
import json

import pytest

from udpim.im.in_stream import InStream
from udpim_bench import cli, dedup
from udpim_bench.measure import WrongCounts

MESSAGES = 20_000


def quiet(line):
    """Nobody wants to know."""


@pytest.fixture(scope="module")
def report():
    return dedup.run(MESSAGES, 1, quiet)


def test_a_longer_stream_takes_no_more_bytes(report):
    assert [] == report["problems"]
    short, long = report["streams"]
    assert (dedup.SHORT, MESSAGES) == (short["messages"], long["messages"])
    assert min(long["copies"], long["void"], long["void_runs"]) > 0
    assert 0 < long["row_bytes"] <= dedup.STATE_BYTES_MAX == 280


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("row_bytes", 281, "281 bytes after 20000 messages, 280 may be"),
        ("object_bytes", 10**6, "1000000 bytes in memory"),
        ("void_runs", 257, "257 void runs, 256 may be"),
    ],
)
def test_a_bound_that_does_not_hold_is_named(report, key, value, words):
    changed = copy.deepcopy(report)
    changed["streams"][1][key] = value
    assert words in dedup.problems(changed)[0]


def test_a_memory_that_forgets_is_found_out(monkeypatch):
    advance = InStream._advance

    def forgetting(self):
        advance(self)
        self.delivered &= self.delivered - 1

    monkeypatch.setattr(InStream, "_advance", forgetting)
    with pytest.raises(WrongCounts, match=r"is open again|is settled already|stands still"):
        dedup.run(MESSAGES, 1, quiet)


def test_a_row_of_another_size_is_found_out(monkeypatch):
    monkeypatch.setattr(dedup, "row_bytes", lambda record: 7)
    with pytest.raises(WrongCounts, match="another size"):
        dedup.run(MESSAGES, 1, quiet)


def test_the_command_prints_both_streams(capsys):
    args = ["dedup", "--messages", str(MESSAGES), "--no-progress"]
    assert 0 == cli.main(args)
    out, err = capsys.readouterr()
    assert ("after 10000 messages" in out, "after 20000 messages" in out, err) == (True, True, "")
    assert 0 == cli.main([*args, "--json"])
    assert {"streams", "problems"} <= json.loads(capsys.readouterr().out).keys()


def test_a_stream_that_is_too_short_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["dedup", "--messages", "9999"])
    assert "must be at least 10000" in capsys.readouterr().err
