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
        first = (self.number + 1) * 10 if hop_seq is None else hop_seq
        bodies = [each if isinstance(each, bytes) else im_codec.encode(each) for each in packets]
        made = [frames.encode_message(first + n, body) for n, body in enumerate(bodies)]
        self.frame(cid, b"".join(made))

    def frame(self, cid, payload):
        self.number += 1
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


def login(wire, user, client, server):
    wire.welcome(client, server)
    wire.show(server, p.Login(user, "d", b"", 1, 1))


def test_copies_of_one_message_for_several_members_are_new_for_each():
    wire = Wire()
    login(wire, "bob", CLIENT, SERVER)
    login(wire, "carol", b"carol id", b"serverI2")
    message = msg_n(1, name=FULL._replace(conversation="#g"))
    wire.show(CLIENT, message)
    wire.show(b"carol id", message)
    assert {} == wire.resent
    login(wire, "carol", b"carol I2", b"serverI3")
    wire.show(b"carol I2", message)
    assert {"msg:N": 1} == wire.resent


def test_a_frame_that_comes_again_is_counted_without_being_read():
    wire = Wire()
    wire.show(SERVER, msg_r(1), hop_seq=4)
    wire.show(SERVER, b"anything", hop_seq=4)
    assert ({"msg:R": 2}, {"msg:R": 1}) == (dict(wire.tally.sent), wire.resent)


def tally(*entries, handle=1):
    return p.Tally(handle, NAME._replace(conversation="#g"), 6, 1, entries)


def test_a_tally_is_resent_when_it_tells_the_same_verdict_of_the_same_member():
    wire = Wire()
    wire.show(CLIENT, tally(p.TallyEntry(0, ((1, 3),), 0, 0b0110)))
    wire.show(CLIENT, tally(p.TallyEntry(0, ((1, 3),), 3, 0b1), p.TallyEntry(2, ((1, 1),), 1, 1)))
    wire.show(CLIENT, tally(p.TallyEntry(0, ((4, 4),), 1, 0b11)))
    assert ({"tally": 3}, {}) == (dict(wire.tally.sent), wire.resent)
    wire.show(CLIENT, tally(p.TallyEntry(0, ((3, 5),), 2, 0b1)))
    assert {"tally": 1} == wire.resent


def test_receipts_of_two_devices_are_no_resending():
    wire = Wire()
    receipt = p.AckN(1, FULL, 0, 5, 6, ((1, 3),), (), (), ())
    wire.show(CLIENT, receipt, receipt._replace(ordinal=1))
    assert {} == wire.resent


def test_read_marks_are_resent_when_they_say_no_more():
    wire = Wire()
    wire.welcome()
    wire.show(SERVER, p.ReadR(1, FULL, 3), p.ReadR(1, None, 4))
    wire.show(CLIENT, p.ReadA(1, 3), p.ReadN(2, FULL, 0, 5, 3), p.ReadN(2, None, 1, 5, 3))
    assert {} == wire.resent
    wire.show(SERVER, p.ReadR(1, None, 4))
    wire.show(CLIENT, p.ReadA(1, 3), p.ReadN(2, None, 1, 5, 3))
    assert {"read:R": 1, "read:A": 1, "read:N": 1} == wire.resent


def test_what_groups_ask_and_are_told_is_counted_by_frame():
    wire = Wire()
    asked = p.GroupR(1, 1, "#g", "")
    wire.show(SERVER, asked, hop_seq=3)
    wire.show(SERVER, asked, hop_seq=3)
    wire.show(CLIENT, p.GroupA(1, 0, ()), p.Gone(4, FULL), hop_seq=7)
    wire.show(CLIENT, p.GroupA(1, 0, ()), p.Gone(4, None), hop_seq=7)
    sent = {"group:R": 2, "group:A": 2, "gone": 2}
    assert (sent, dict.fromkeys(sent, 1)) == (dict(wire.tally.sent), wire.resent)


def test_signals_are_counted_and_never_resent():
    wire = Wire()
    wire.frame(SERVER, frames.encode_datagram(im_codec.encode(p.SignalR("bob", b"typing"))))
    wire.frame(SERVER, frames.encode_datagram(im_codec.encode(p.SignalR("bob", b"typing"))))
    assert ({"signal:R": 2}, {}) == (dict(wire.tally.sent), wire.resent)


def test_members_in_pieces_are_counted_once_they_are_whole():
    wire = Wire()
    lines = tuple(p.Member(n, f"nick{n}", "demo", 5, 1, 1, 0) for n in range(100))
    body = im_codec.encode(p.Members(1, NAME._replace(conversation="#g"), True, 6, 9, lines))
    parts = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    pieces = [
        frames.encode_fragment(20 + at, 1, at, len(parts), part) for at, part in enumerate(parts)
    ]
    for piece in (*pieces[1:], pieces[1]):
        wire.frame(CLIENT, piece)
    assert {} == wire.tally.sent
    wire.frame(CLIENT, pieces[0])
    assert ({"members": 1}, {}) == (dict(wire.tally.sent), wire.resent)
    wire.frame(CLIENT, pieces[1])
    wire.frame(CLIENT, pieces[0])
    assert ({"members": 2}, {"members": 1}) == (dict(wire.tally.sent), wire.resent)


def test_questions_about_a_stream_are_read_only_for_its_name():
    wire = Wire()
    question = p.StatusN(3, FULL, 1, 1)
    wire.show(CLIENT, question)
    wire.show(CLIENT, im_codec.encode(question)[:6] + b"whatever")
    wire.show(CLIENT, msg_n(1, name=None, handle=3))
    wire.show(CLIENT, msg_n(1, name=None, handle=3))
    assert ({"status:N": 2, "msg:N": 2}, {"msg:N": 1}) == (dict(wire.tally.sent), wire.resent)
