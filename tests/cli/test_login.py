"""What `send` and `listen` share: how they reach the server."""

from argparse import Namespace

import pytest

from udpim.cli.login import connect_as
from udpim.errors import ConfigError

GIVEN = {
    "server": "udpim://127.0.0.1:9000",
    "user": "alice",
    "device": "cli",
    "token": "secret",
    "store": None,
    "security": "plain",
    "server_key": None,
    "known_hosts": None,
    "key": None,
    "psk": None,
    "connect_timeout": 1.0,
    "exchange": "four",
}


def test_arguments_that_make_sense_make_a_connection_to_open():
    assert hasattr(connect_as(Namespace(**GIVEN)), "__aenter__")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("security", "tls"),
        ("server_key", "abc"),
        ("known_hosts", "file"),
        ("key", "file"),
        ("psk", "file"),
        ("user", ""),
        ("device", "x" * 33),
        ("server", "udpim://h:99999"),
        ("exchange", "five"),
    ],
)
def test_every_argument_reaches_the_check_that_it_is_for(name, value):
    with pytest.raises(ConfigError):
        connect_as(Namespace(**{**GIVEN, name: value}))
