"""Numbers are read as people write them, and what is none is refused in words."""

from argparse import ArgumentTypeError

import pytest

from udpim.cli.arguments import count, delay, lines, port, ratio, seconds, seed


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (ratio, "0.3", 0.3),
        (ratio, "30%", 0.3),
        (delay, "12.5", 12.5),
        (seconds, "0.1", 0.1),
        (count, "7", 7),
        (lines, "0", 0),
        (port, "65535", 65535),
        (seed, "12345678", 12345678),
    ],
)
def test_a_number_is_read(read, text, value):
    assert value == read(text)


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (ratio, "1", "a probability from 0 to 0.99"),
        (ratio, "100%", "a percentage"),
        (delay, "x", "a delay from 0 to 5000 ms"),
        (seconds, "nan", "a number of seconds above 0"),
        (count, "0", "from 1 on"),
        (lines, "-1", "from 0 on"),
        (port, "65536", "those are 0 to 65535"),
        (seed, "-7", "a seed"),
    ],
)
def test_what_is_none_is_refused_in_words(read, text, words):
    with pytest.raises(ArgumentTypeError, match=words):
        read(text)
