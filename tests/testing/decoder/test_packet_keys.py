"""Keys, masks and numbers of one direction, told a second time and found to be the same."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from tests.testing.decoder.sealed import PAYLOAD, Sender, secrets
from tests.wire.hop_strategies import U32
from udpim.crypto.noise.hkdf import expand as product_expand
from udpim.crypto.security import SUITES
from udpim.testing.decoder.packet_keys import Direction, expand_key, expand_number
from udpim.wire import packet_number

SECRET = bytes(range(32))


def to_server(suite=1):
    return Sender(suite), Direction(suite, secrets().to_server)


@pytest.mark.parametrize("suite", SUITES)
def test_keys_are_those_of_the_product(suite):
    theirs = product_expand(SUITES[suite].hash, SECRET, b"udpim packets", 32)
    assert theirs == expand_key(suite, SECRET, b"udpim packets")


def test_keys_are_those_of_hkdf():
    theirs = HKDFExpand(hashes.SHA256(), 32, b"udpim headers").derive(SECRET)
    assert theirs == expand_key(2, SECRET, b"udpim headers")


@given(st.integers(-1, 2**40), U32)
def test_a_number_is_the_closest_to_what_is_expected(largest, low):
    number = expand_number(largest, low)
    assert low == number % 2**32
    assert number >= 0
    assert abs(number - largest - 1) <= 2**31 or number < 2**32
    assert packet_number.expand(low, largest + 1) == number


@pytest.mark.parametrize("suite", SUITES)
def test_packets_are_opened_through_key_updates(suite):
    sender, direction = to_server(suite)
    for generation in range(5):
        for number in (10 * generation, 10 * generation + 2):
            assert (generation, number, PAYLOAD) == direction.open(sender.seal(number))
        sender.update()


def test_packet_that_was_overtaken_by_an_update_is_opened():
    sender, direction = to_server()
    early = [sender.seal(number) for number in (0, 1, 2)]
    sender.update()
    late = [sender.seal(number) for number in (3, 4)]
    order = [early[0], late[1], early[2], late[0], early[1], *early, *late]
    assert [0, 4, 2, 3, 1, 0, 1, 2, 3, 4] == [direction.open(datagram).number for datagram in order]


def test_replays_of_a_key_that_is_long_gone_are_opened_as_what_they_were():
    sender, direction = to_server()
    sent = []
    for number in range(8):
        sent.append(sender.seal(number))
        sender.update()
    first = [direction.open(datagram) for datagram in sent]
    assert list(range(8)) == [clear.generation for clear in first]
    assert first == [direction.open(datagram) for datagram in sent]


def test_whatever_was_changed_is_not_opened():
    sender, direction = to_server()
    datagram = sender.seal(3)
    for at in range(len(datagram)):
        changed = bytearray(datagram)
        changed[at] ^= 0x20
        assert direction.open(bytes(changed)) is None, at
    assert (0, 3, PAYLOAD) == direction.open(datagram)


def test_key_of_the_other_direction_opens_nothing():
    assert Direction(1, secrets().to_client).open(Sender().seal(3)) is None
