"""Nodes of one benchmark know each other's keys, or none has any."""

import random

from udpim.crypto.security import AES_SHA256
from udpim.hop.config import HopConfig
from udpim_bench.security import client_hop, server_hop


def test_a_client_has_the_server_s_key_pinned():
    client = client_hop(AES_SHA256, random.Random(1)).security
    assert client.server_key == server_hop(AES_SHA256).security.static.public
    assert AES_SHA256 == client.suite
    assert client.static != client_hop(AES_SHA256, random.Random(2)).security.static


def test_without_a_suite_both_are_in_plaintext():
    assert HopConfig() == server_hop(None) == client_hop(None, random.Random(1))
