"""Scripts of alice and bob: what they send, and what is refused before anything starts."""

import pytest

from udpim.cli.script import Line, Script, lines_of, numbered
from udpim.errors import ConfigError


def test_payloads_are_distinct_and_of_the_size_asked_for():
    payloads = [line.payload for line in numbered(500, 16, seed=1).lines]
    assert 1000 == len(payloads) == len(set(payloads))
    assert {16} == {len(payload) for payload in payloads}


def test_the_same_seed_gives_the_same_payloads():
    assert numbered(5, 50, seed=1) == numbered(5, 50, seed=1)
    assert numbered(5, 50, seed=1) != numbered(5, 50, seed=2)


def test_the_lines_of_a_file_go_both_ways_in_turns(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"1\n\xff\r\n")
    script = lines_of(str(path))
    assert [
        Line("alice", "bob", b"1"),
        Line("bob", "alice", b"1"),
        Line("alice", "bob", b"\xff"),
        Line("bob", "alice", b"\xff"),
    ] == script.lines


def test_the_cast_is_whoever_sends_or_receives_in_order_of_appearance():
    lines = [Line("b", "a", b""), Line("c", "b", b""), Line("a", "d", b"")]
    assert ["b", "a", "c", "d"] == Script(lines=lines).cast


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 lines"),
        (b"ok\n" + b"x" * 1_048_577, "line 2: 1048577 bytes are over the limit of 1048576"),
    ],
    ids=["empty", "too long"],
)
def test_a_file_that_cannot_be_sent_is_refused_before_anything_starts(tmp_path, content, words):
    path = tmp_path / "lines"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        lines_of(str(path))
