"""A message to a group: few receipts, copies for the missing only, and bounds that can fail."""

import copy
import json

import pytest

from udpim_bench import cli, group
from udpim_bench.measure import WrongCounts


def quiet(line):
    """Nobody wants to know."""


@pytest.fixture(scope="module")
def report():
    return group.run(40, 0.1, 1, quiet)


def test_receipts_are_few_and_copies_go_to_the_missing_only(report):
    assert [] == report["problems"]
    assert 1 <= report["receipts"]["packets"] <= group.RECEIPTS_MAX
    assert 40 == report["copies"]["members_reached"]
    assert 1 == report["copies"]["members_deaf"]
    assert report["copies"]["hop_repeats"] >= 1, "to the deaf one"
    assert 0 == report["copies"]["copies_needless"]


def test_what_is_in_flight_takes_memory_for_each_member(report):
    memory = report["memory"]
    assert memory["server_bytes_per_message"] > 40 * memory["payload_bytes"]


@pytest.mark.parametrize(
    ("part", "key", "value", "words"),
    [
        ("receipts", "packets", 6, "6 receipt packets in 6 s, 5 may be"),
        ("receipts", "packets", 0, "no receipt packet was seen"),
        ("copies", "receipt_packets", 7, "7 receipt packets in 6 s at 10% loss"),
        ("copies", "copies_needless", 3, "3 copies for members whose receipt"),
        ("copies", "members_reached", 39, "copies went to 39 members"),
    ],
)
def test_a_bound_that_does_not_hold_is_named(report, part, key, value, words):
    changed = copy.deepcopy(report)
    changed[part][key] = value
    assert words in group.problems(changed)[0]


def test_a_server_that_tells_every_verdict_at_once_is_found_out(monkeypatch):
    monkeypatch.setattr("udpim.im.tally.AT_S", (0.0,) * 10_000)
    monkeypatch.setattr("udpim.im.tally.GAP_S_MIN", 0.0)
    monkeypatch.setattr(group, "_memory", lambda room: {})
    report = group.run(40, 0.3, 1, quiet)
    assert any("receipt packets in 6 s" in problem for problem in report["problems"])


def test_copies_for_who_has_receipted_are_counted_apart_from_the_hop_s_repeats():
    room = group.Room(3, 1, quiet)
    sent = room.send()
    room.settle(sent)
    network = room.world.network
    crossing = next(c for c in reversed(network.trace) if "msg:N" in c.content.labels)
    network.replay(crossing)
    assert (1, {}) == (room.watch.repeats, dict(+room.watch.needless))
    room.watch._frames.clear()
    network.replay(crossing)
    assert {crossing.destination[0]: 1} == dict(+room.watch.needless)


def test_a_wait_that_does_not_end_is_noticed(monkeypatch):
    monkeypatch.setattr(group, "ANSWER_S_MAX", 1.0)
    room = group.Room(2, 1, quiet)
    room.world.network.cut("alice/phone", "server")
    with pytest.raises(WrongCounts, match="not within 1 s"):
        room.settle(room.send())


def test_size_counts_what_is_shared_once_and_no_code():
    shared = bytes(1000)
    alone = group.size_of([shared])
    assert alone < group.size_of([shared, bytes(1001)])
    assert group.size_of([shared, shared]) < alone + 100
    assert group.size_of([quiet]) == group.size_of([print])


def test_it_runs_from_the_command_line_and_judges(capsys, monkeypatch):
    words = ["group", "--members", "5", "--loss", "0", "--no-progress"]
    assert 0 == cli.main(words)
    assert "one message to a group of 5" in capsys.readouterr().out
    monkeypatch.setattr(group, "RECEIPTS_MAX", 0)
    assert 1 == cli.main([*words, "--json"])
    out, err = capsys.readouterr()
    assert json.loads(out)["problems"]
    assert "receipt packets in 6 s" in err


@pytest.mark.parametrize("words", [["--members", "0"], ["--members", "2000"], ["--loss", "0.9"]])
def test_what_cannot_be_is_a_wrong_usage(words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["group", *words])
    assert 2 == caught.value.code
    assert "must be" in capsys.readouterr().err
