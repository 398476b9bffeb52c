"""What a client does with each IM packet: the table, apart from what the machines make of it."""

import pytest

from udpim.im.backlog import BEYOND, FILLS, FREE, FULL
from udpim.model import GroupAction, StreamId
from udpim.node.reception import _OUTBOX_METHODS, HELD_MAX, Reception
from udpim.wire import im_packets as p
from udpim.wire.im_codec import encode_section

OK = p.LoginOk(7, True, False, 1000, 1024)
NO = p.LoginRefused(1, "no")
PUSH = p.MsgN(1, StreamId("alice", "a", 9, "bob"), 1, 1, encode_section(1, [0], [b"hi"]))
OWN = p.StatusA(2, StreamId("bob", "b", 5, "alice"), 0, 7, ((1, 1),), ())


class Machine:
    """An outbox and an inbox in one: they note what they are given."""

    room_for = FREE
    """For all, or by first seq."""

    def __init__(self):
        self.got = []

    def stream(self, id_):
        return None

    def room(self, id_, base, section):
        return self.room_for if isinstance(self.room_for, int) else self.room_for[section.first]

    def receive_msg_a(self, packet):
        self.got.append(packet)

    receive_refuse = receive_msg_a

    receive_read_a = receive_msg_a

    def receive_nudge(self):
        self.got.append("nudge")


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def answers():
    return []


@pytest.fixture
def reception(machine, answers):
    def note(packet, now):
        answers.append(packet)

    return Reception(machine, machine, {}, welcomed=note, refused=note)


def test_before_the_login_only_its_answer_is_taken(reception, answers):
    assert reception.handlers([p.Nudge()], online=False) is None
    (handler,) = reception.handlers([OK], online=False)
    assert [] == answers, "nothing happens before the packet is taken"
    handler(1.0)
    assert [OK] == answers


def test_once_online_no_login_is_answered(reception):
    assert reception.handlers([OK], online=True) is None


def test_the_rest_of_the_packet_may_rely_on_the_welcome_in_it(reception):
    assert 2 == len(reception.handlers([OK, p.Nudge()], online=False))
    assert reception.handlers([NO, p.Nudge()], online=False) is None


def test_one_packet_that_cannot_be_taken_keeps_all_out(reception, machine):
    machine.room_for = FULL
    assert reception.handlers([p.Nudge(), PUSH], online=True) is None
    assert [] == machine.got


def test_what_fills_a_gap_brings_in_what_is_with_it_but_nothing_beyond_the_window(
    reception, machine
):
    """The server bundles as it likes, and a packet is taken whole or not at all."""
    later = PUSH._replace(section=encode_section(5, [0], [b"hi"]))
    machine.room_for = {1: FILLS, 5: FULL}
    assert 2 == len(reception.handlers([later, PUSH], online=True))
    assert reception.handlers([later], online=True) is None, "each packet is looked at anew"
    machine.room_for = {1: FILLS, 5: BEYOND}
    assert reception.handlers([PUSH, later], online=True) is None


def test_answers_by_handle_go_to_the_outbox_and_ack_a_is_counted(reception, machine):
    msg_a, refuse = p.MsgA(1, 0, ((1, 1),)), p.Refuse(1, 2, ((1, 1),))
    read_a = p.ReadA(1, 3)
    packets = [msg_a, refuse, p.AckA(1, ((1, 1),)), p.Nudge(), read_a]
    for handler in reception.handlers(packets, online=True):
        handler(0.0)
    assert [msg_a, refuse, "nudge", read_a] == machine.got
    assert 1 == reception.receipts_acknowledged


def test_signals_wait_for_the_node_and_only_once_online(reception):
    signal = p.SignalN("alice", "a", "bob", b"typing")
    assert reception.handlers([signal], online=False) is None
    for handler in reception.handlers([signal, signal], online=True):
        handler(0.0)
    assert [signal, signal] == reception.signals


def test_a_receipt_for_a_stream_that_we_never_had_is_dropped_and_counted(machine):
    drops = {}
    reception = Reception(machine, machine, drops, welcomed=None, refused=None)
    for handler in reception.handlers([OWN, None], online=True):
        handler(0.0)
    assert {"receipt for an unknown stream": 1, "IM packet of an unknown kind": 1} == drops


def test_an_answer_about_a_group_goes_to_its_question(reception):
    number = reception.groups.ask(GroupAction.LIST, "", "")
    (handler,) = reception.handlers([p.GroupA(number, 0, ("#g",))], online=True)
    assert [] == reception.groups.take_answers()
    handler(0.0)
    assert [("#g",)] == [answer.names for answer in reception.groups.take_answers()]


def test_a_handle_without_a_name_is_not_taken(reception):
    assert reception.handlers([PUSH._replace(name=None)], online=True) is None


# --- Between login-ok and the outbox's session ---


@pytest.fixture
def told(machine, monkeypatch):
    """What the outbox is told, once it has a stream."""
    told = []

    def tell(outbox, stream, packet):
        told.append(packet)

    monkeypatch.setitem(_OUTBOX_METHODS, p.StatusA, tell)
    machine.stream = lambda id_: "the stream"
    return told


def test_what_comes_before_the_outbox_has_begun_waits_for_it(reception, told):
    reception.held = []
    for handler in reception.handlers([OWN, OWN], online=True):
        handler(1.0)
    assert [] == told
    reception.release(2.0)
    assert [OWN, OWN] == told
    reception.release(3.0)
    (handler,) = reception.handlers([OWN], online=True)
    handler(4.0)
    assert [OWN] * 3 == told


def test_beyond_its_limit_what_waits_is_not_taken(reception, told):
    reception.held = []
    for _ in range(HELD_MAX):
        (handler,) = reception.handlers([OWN], online=True)
        handler(1.0)
    assert reception.handlers([OWN], online=True) is None
    reception.release(2.0)
    assert HELD_MAX == len(told)
