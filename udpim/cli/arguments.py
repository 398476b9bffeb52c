"""Numbers on the command line: each kind is read in one place, and refused in words."""

from __future__ import annotations

import argparse


def _number(text: str, words: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {words}")
    return value


def ratio(text: str) -> float:
    """Read a probability, or a percentage."""
    if text.endswith("%"):
        return _number(text[:-1], "a percentage from 0 to 99", 0, 99) / 100
    return _number(text, "a probability from 0 to 0.99", 0, 0.99)


def delay(text: str) -> float:
    """Read milliseconds."""
    return _number(text, "a delay from 0 to 5000 ms", 0, 5000)


def seconds(text: str) -> float:
    """Read a positive number of seconds."""
    return _number(text, "a number of seconds above 0", 1e-3, 1e9)


def _whole(text: str, words: str, low: int, high: int) -> int:
    if not text.isdecimal() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {words}")
    return int(text)


def count(text: str) -> int:
    """Read how many of something there are, at least one."""
    return _whole(text, "a whole number from 1 on", 1, 10**9)


def lines(text: str) -> int:
    """Read how many lines to show."""
    return _whole(text, "a whole number from 0 on", 0, 10**6)


def seed(text: str) -> int:
    """Read the number of a run."""
    return _whole(text, "a seed: a whole number from 0 on", 0, 2**63)


def port(text: str) -> int:
    """Read a port."""
    return _whole(text, "a port: those are 0 to 65535", 0, 65535)
