"""Re-sent packets are recognised by what they carry, not by what the ends say."""

from udpim.cli.tally import Tally
from udpim.crypto.protection import PlaintextProtection
from udpim.model import StreamId
from udpim.wire import frames, im_codec, packet
from udpim.wire import im_packets as p

CLIENT, SERVER = b"clientid", b"serverid"
NAME = StreamId("", "", 7, "bob")
FULL = StreamId("alice", "d", 7, "bob")


class Wire:
    """Builds datagrams with rising packet and frame numbers and shows them to a tally."""

    def __init__(self):
        self.tally = Tally()
        self.number = 0

    def show(self, cid, *packets, hop_seq=None):
        self.number += 1
        first = self.number * 10 if hop_seq is None else hop_seq
        payload = b"".join(
            frames.encode_message(first + n, im_codec.encode(each))
            for n, each in enumerate(packets)
        )
        header = packet.encode_short_header(packet.PLAIN_SHORT_FLAGS, cid, self.number)
        data = header + PlaintextProtection().seal(header, self.number, payload)
        self.tally.watch(data, cid == SERVER)

    def welcome(self, client=CLIENT, server=SERVER):
        found = packet.Welcome(destination_cid=client, source_cid=server, payload=b"")
        self.tally.watch(packet.encode_long(found), False)

    @property
    def resent(self):
        return {kind: n for kind, n in self.tally.resent.items() if n}


def section(first, count):
    return im_codec.encode_section(first, [1] * count, [b"x"] * count)


def msg_r(first, count=2, name=NAME, handle=1):
    return p.MsgR(handle, name, 1, (p.EpochRun(1, 1),), 0, section(first, count))


def msg_n(first, count=2, name=FULL, handle=1):
    return p.MsgN(handle, name, 1, 1, section(first, count))


def test_new_messages_are_not_resent():
    wire = Wire()
    wire.show(SERVER, msg_r(1), msg_r(3, name=None))
    wire.show(CLIENT, msg_n(1), msg_n(3, name=None))
    assert {"msg:R": 2, "msg:N": 2} == wire.tally.sent
    assert {} == wire.resent


def test_the_same_msgid_is_resent_however_it_is_cut():
    wire = Wire()
    wire.show(SERVER, msg_r(1, 4))
    wire.show(SERVER, msg_r(4, 2, name=None))
    wire.show(SERVER, msg_r(6, 1, name=None))
    assert {"msg:R": 1} == wire.resent


def test_a_msgid_is_recognised_on_the_next_connection():
    wire = Wire()
    wire.show(SERVER, msg_r(1))
    wire.show(b"serverI2", msg_r(1, handle=9))
    assert {"msg:R": 1} == wire.resent


def test_the_same_seq_of_another_stream_is_new():
    wire = Wire()
    wire.show(SERVER, msg_r(1), msg_r(1, name=NAME._replace(conversation="carol"), handle=2))
    assert {} == wire.resent


def test_answers_are_read_with_the_handles_of_what_they_answer():
    wire = Wire()
    wire.welcome()
    wire.show(SERVER, msg_r(1), msg_r(1, name=NAME._replace(conversation="carol"), handle=2))
    wire.show(CLIENT, p.MsgA(1, 0, ((1, 2),)), p.MsgA(2, 0, ((1, 2),)))
    assert {} == wire.resent
    wire.show(CLIENT, p.MsgA(2, 0, ((2, 2),)))
    assert {"msg:A": 1} == wire.resent


def test_stored_and_then_delivered_is_no_resending():
    wire = Wire()
    receipt = p.AckN(1, FULL, 0, 5, 6, (), (), ((1, 3),), ())
    wire.show(CLIENT, receipt)
    wire.show(CLIENT, receipt._replace(delivered=((1, 3),), stored=()))
    assert {} == wire.resent
    wire.show(CLIENT, receipt._replace(delivered=((2, 2),), stored=()))
    assert {"ack:N": 1} == wire.resent


def test_pulled_messages_and_voids_count_by_msgid():
    wire = Wire()
    part = p.OfflineA(1, FULL, 1, 1, False, 1, 1, ((1, 1),), section(2, 2))
    wire.show(CLIENT, part)
    wire.show(CLIENT, part._replace(batch=2, section=None, void=((2, 2),)))
    assert {} == wire.resent
    wire.show(CLIENT, part._replace(batch=3, void=(), section=section(3, 1)))
    assert {"offline:A": 1} == wire.resent


def test_kinds_without_a_msgid_count_when_their_frame_comes_again():
    wire = Wire()
    login = p.Login("alice", "d", b"", 1, 1)
    wire.show(SERVER, login, hop_seq=0)
    wire.show(SERVER, login, hop_seq=0)
    wire.show(SERVER, login, hop_seq=1)
    wire.show(b"another1", login, hop_seq=0)
    assert {"login": 1} == wire.resent
    assert 4 == wire.tally.sent["login"]


def test_what_is_no_plaintext_is_counted_and_ignored():
    wire = Wire()
    for data in (b"", b"\x01short", b"\x41" + bytes(40), b"\x81" + bytes(30)):
        wire.tally.watch(data, True)
    assert 4 == wire.tally.unreadable
    assert {} == wire.tally.sent


def test_an_im_packet_of_a_kind_that_is_skipped_is_not_counted():
    wire = Wire()
    header = packet.encode_short_header(packet.PLAIN_SHORT_FLAGS, SERVER, 1)
    payload = frames.encode_message(0, b"\x90\x00from a later version")
    wire.tally.watch(header + PlaintextProtection().seal(header, 1, payload), True)
    assert (0, {}) == (wire.tally.unreadable, wire.tally.sent)
