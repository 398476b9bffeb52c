"""Patterns: a table, and rules for all that is not in it."""

import pytest

from udpim.crypto.noise.patterns import pattern_named
from udpim.errors import ConfigError


def told(pattern):
    return " / ".join(" ".join(message) for message in pattern.messages)


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("N", "e es"),
        ("XK", "e es / e ee / s se"),
        ("XX", "e / e ee s es / s se"),
        ("XX1", "e / e ee s / es s se"),
        ("X1X1", "e / e ee s / es s / se"),
        ("KK", "e es ss / e ee se"),
        ("KK1", "e / e ee se es"),
        ("K1K", "e es / e ee / se"),
        ("I1K1", "e s / e ee es / se"),
        ("K1X1", "e / e ee s / se es"),
        ("NNpsk0", "psk e / e ee"),
        ("XXpsk3", "e / e ee s es / s se psk"),
        ("NNpsk0+psk2", "psk e / e ee psk"),
        ("X1Kpsk4", "e es / e ee / s / se psk"),
    ],
)
def test_messages_follow_from_the_name(name, messages):
    pattern = pattern_named(name)
    assert messages == told(pattern)
    assert name == pattern.name
    assert name.count("psk") == pattern.psks


@pytest.mark.parametrize(
    ("name", "known", "static"),
    [
        ("NN", (False, False), (False, False)),
        ("XK", (False, True), (True, True)),
        ("XX", (False, False), (True, True)),
        ("NK", (False, True), (False, True)),
        ("KN", (True, False), (True, False)),
        ("KK", (True, True), (True, True)),
        ("IX1", (False, False), (True, True)),
        ("X", (False, True), (True, True)),
    ],
)
def test_a_pattern_says_which_keys_each_side_needs(name, known, static):
    pattern = pattern_named(name)
    assert known == (pattern.initiator_known, pattern.responder_known)
    assert known == (pattern.knows_before(initiator=False), pattern.knows_before(initiator=True))
    assert static == (pattern.needs_static(initiator=True), pattern.needs_static(initiator=False))


def test_only_patterns_of_one_message_are_one_way():
    assert ["N", "K", "X"] == [n for n in ("N", "K", "X", "NN", "XK") if pattern_named(n).one_way]


@pytest.mark.parametrize(
    "name",
    [
        *("", "I", "Q", "XKX", "xk", "XK ", "XK2", "XKpsk", "XKpsk10", "XK+psk1", "XXfallback"),
        *("N1", "K1", "X1", "N1K", "NN1", "XN1", "IN1"),  # no such DH to defer
        *("XKpsk4", "NNpsk3", "Npsk2", "NNpsk1+psk1", "NNpsk2+psk0"),
    ],
)
def test_other_names_are_refused(name):
    with pytest.raises(ConfigError, match="pattern"):
        pattern_named(name)


def test_patterns_do_not_change_the_table_that_they_come_from():
    before = told(pattern_named("XX"))
    pattern_named("X1X1psk0")
    assert before == told(pattern_named("XX"))
