"""With the secrets of a key log, captured packets can be read, in whatever order they come."""

import random

import pytest

from tests.crypto.secure import (
    CLIENT_CID,
    SERVER_CID,
    client_half,
    server_half,
    server_parameters,
)
from udpim.crypto.packet_opener import PacketOpener
from udpim.crypto.security import SUITES
from udpim.hop.config import HopConfig
from udpim.hop.sealing import EncryptedSealing
from udpim.hop.stats import HopStats
from udpim.hop.timers import TimerTable
from udpim.wire.frames import PATH_CHALLENGE, encode_new_cid, encode_path
from udpim.wire.packet import PLAIN_SHORT_FLAGS, encode_short_header, parse_long

PAYLOAD = b"frames of a packet"


class Talk:
    """A finished handshake: both ends' sealing, and an opener that was told the secrets."""

    def __init__(self, suite=1):
        client, server = client_half(suite=suite), server_half()
        hello = parse_long(client.hello)
        half = server.accept(hello, client.hello, server_parameters(), SERVER_CID)
        at_client = client.receive_welcome(parse_long(half.welcome))
        at_server = half.receive_finish(parse_long(at_client.finish))
        assert at_client.secrets == at_server.secrets
        self.secrets = at_client.secrets
        self.client, self.server = map(self._sealing, (at_client, at_server))
        self.schedule = at_client.keys.schedule
        self.opener = PacketOpener()
        self.opener.add(self.secrets)

    @staticmethod
    def _sealing(result):
        return EncryptedSealing(result.keys, HopConfig(), TimerTable(), HopStats())

    def update(self):
        """The client goes on to its next key, and the server follows."""
        self.client.on_acked(1 << 40)
        self.schedule.update()

    def to_server(self, number):
        datagram = self.client.seal(SERVER_CID, number, PAYLOAD)
        header, _, _ = self.server.read_header(datagram)
        assert self.server.open(header, number, datagram) == PAYLOAD
        return datagram


@pytest.mark.parametrize("suite", SUITES)
def test_both_directions_are_read(suite):
    talk = Talk(suite)
    up = talk.opener.open(talk.to_server(7))
    down = talk.opener.open(talk.server.seal(CLIENT_CID, 9, PAYLOAD))
    assert [up[:3], down[:3]] == [(SERVER_CID, 0, 7), (CLIENT_CID, 0, 9)]
    assert up.payload == down.payload == PAYLOAD
    assert up.header == encode_short_header(up.header[0], SERVER_CID, 7)


def test_packets_of_five_keys_are_read_in_any_order(seed):
    talk = Talk()
    captured = []
    for generation in range(5):
        if generation:
            talk.update()
        for number in range(generation * 10, generation * 10 + 10):
            captured.append((generation, number, talk.to_server(number)))
            # The server's own packets let the client know that it has followed.
            datagram = talk.server.seal(CLIENT_CID, number, PAYLOAD)
            header, _, _ = talk.client.read_header(datagram)
            assert talk.client.open(header, number, datagram) == PAYLOAD
        talk.schedule.forget_previous()
        talk.server._keys.forget_previous()
    late = captured[:25]
    random.Random(seed).shuffle(late)
    for generation, number, datagram in captured + late:
        assert talk.opener.open(datagram)[1:3] == (generation, number)


def test_numbers_of_more_than_32_bits_are_told_whole():
    talk = Talk()
    for number in (5, (1 << 31) + 4, (1 << 32) + 1):
        assert talk.opener.open(talk.client.seal(SERVER_CID, number, PAYLOAD)).number == number


def test_a_direction_keeps_its_name_and_its_keys_when_its_connection_id_changes():
    talk = Talk()
    spare = b"server-2"
    told = encode_new_cid(1, spare, bytes(16))
    assert talk.opener.open(talk.server.seal(CLIENT_CID, 1, told)).payload == told
    one = talk.opener.open(talk.client.seal(SERVER_CID, 1, PAYLOAD))
    two = talk.opener.open(talk.client.seal(spare, 2, PAYLOAD))
    assert [(SERVER_CID, 0, 1), (SERVER_CID, 0, 2)] == [one[:3], two[:3]]


def test_frames_that_are_none_name_nobody():
    talk = Talk()
    challenge = encode_path(PATH_CHALLENGE, b"\x0b" * 8)
    assert talk.opener.open(talk.server.seal(CLIENT_CID, 0, challenge)).payload == challenge
    cut = encode_new_cid(1, b"server-2", bytes(16))[:-1]
    assert talk.opener.open(talk.server.seal(CLIENT_CID, 1, cut)).payload == cut
    assert not talk.opener.knows(b"server-2")


def test_saying_the_secrets_twice_is_harmless():
    talk = Talk()
    talk.to_server(1)
    talk.update()
    assert talk.opener.open(talk.to_server(2)).generation == 1
    talk.opener.add(talk.secrets)
    assert talk.opener.open(talk.client.seal(SERVER_CID, 3, PAYLOAD)).generation == 1


def test_what_it_cannot_read_it_does_not_invent():
    talk = Talk()
    datagram = talk.to_server(1)
    forged = datagram[:-1] + bytes([datagram[-1] ^ 1])
    plain = encode_short_header(PLAIN_SHORT_FLAGS, SERVER_CID, 2) + bytes(40)
    cut, long, strange = datagram[:20], b"\xc1" + datagram[1:], b"\x41" + bytes(40)
    for each in (b"", forged, plain, cut, long, strange, b"\x7f" + datagram[1:]):
        assert talk.opener.open(each) is None
    assert PacketOpener().open(datagram) is None
    assert talk.opener.knows(SERVER_CID)
    assert not talk.opener.knows(b"somebody")
