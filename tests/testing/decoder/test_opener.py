"""Packets are opened by whom they are for, once their secrets are told."""

from tests.testing.decoder.sealed import CLIENT_CID, PAYLOAD, SERVER_CID, Sender, secrets
from udpim.testing.decoder.opener import Opener


def told():
    opener = Opener()
    opener.learn(secrets())
    return Sender(), opener


def test_both_directions_are_read():
    sender, opener = told()
    back = Sender(secret=secrets().to_client)
    assert (0, 7, PAYLOAD) == opener.open(SERVER_CID, sender.seal(7))
    assert (0, 9, PAYLOAD) == opener.open(CLIENT_CID, back.seal(9, cid=CLIENT_CID))


def test_id_on_the_packet_may_be_another_one_of_the_same_end():
    sender, opener = told()
    datagram = sender.seal(7, cid=b"spare id")
    assert opener.open(b"spare id", datagram) is None
    assert (0, 7, PAYLOAD) == opener.open(SERVER_CID, datagram)


def test_secrets_that_both_ends_tell_do_not_forget_what_was_read():
    sender, opener = told()
    opener.open(SERVER_CID, sender.seal(1))
    for number in range(2, 4):
        sender.update()
        opener.learn(secrets())
        clear = opener.open(SERVER_CID, sender.seal(number))
        assert (number - 1, number) == clear[:2]


def test_only_encrypted_short_packets_of_their_length_are_tried():
    sender, opener = told()
    datagram = sender.seal(7)
    for first in {flags ^ datagram[0] for flags in (0x80, 0x40, 0x10, 0x08, 0x01, 0x02)}:
        assert opener.open(SERVER_CID, bytes((first,)) + datagram[1:]) is None
    for wrong in (b"", datagram[:31], datagram + bytes(1200)):
        assert opener.open(SERVER_CID, wrong) is None
    assert opener.open(SERVER_CID, datagram) is not None


def test_packets_of_connections_that_nobody_told_are_not_opened():
    sender, opener = told()
    assert opener.open(b"stranger", sender.seal(7, cid=b"stranger")) is None
