"""The table of handshakes that were answered."""

from tests.hop.pair import CLIENT, connect
from udpim.hop.codes import Role
from udpim.hop.half_open import Handshake, HandshakeTable


def handshake(number, expires_at=110.0):
    return Handshake(
        cid=b"server%02d" % number,
        client_cid=b"client%02d" % number,
        path=CLIENT,
        welcome=b"welcome",
        expires_at=expires_at,
    )


def key(number):
    return (CLIENT, b"client%02d" % number, b"payload")


def test_a_handshake_is_found_by_its_hello_and_by_its_id():
    table, one = HandshakeTable(), handshake(1)
    table.add(key(1), one, proven=False)
    assert table.get(key(1)) is table.of_cid(b"server01") is one
    assert table.get(key(2)) is table.of_cid(b"server02") is None
    assert (1, 1) == (len(table), table.unproven)


def test_it_is_forgotten_in_both_ways():
    table = HandshakeTable()
    table.add(key(1), handshake(1, 110.0), proven=False)
    table.add(key(2), handshake(2, 111.0), proven=True)
    table.forget(109.9)
    assert 2 == len(table)
    table.forget(110.0)
    assert (1, 0) == (len(table), table.unproven)
    assert table.get(key(1)) is table.of_cid(b"server01") is None
    assert table.of_cid(b"server02") is not None


def test_who_is_proven_does_not_count_as_unproven():
    table = HandshakeTable()
    table.add(key(1), handshake(1), proven=True)
    assert 0 == table.unproven
    one = handshake(2)
    table.add(key(2), one, proven=False)
    table.forget(100.0)
    assert 1 == table.unproven, "no FINISH yet"
    one.connection = connect(Role.SERVER, validated=False)
    table.forget(100.0)
    assert 1 == table.unproven
    one.connection.validated = True
    table.forget(100.0)
    assert 0 == table.unproven


def waiting(number, expires_at=110.0):
    one = handshake(number, expires_at)
    one.waiting = object()
    return one


def test_the_oldest_that_waits_for_its_finish_makes_room():
    table = HandshakeTable()
    finished, *others = (waiting(number) for number in range(4))
    for number, one in enumerate((finished, *others)):
        table.add(key(number), one, proven=True)
    table.add(key(9), handshake(9), proven=True)
    finished.waiting = None
    assert table.make_room()
    assert table.get(key(1)) is table.of_cid(b"server01") is None
    assert (4, others[1]) == (len(table), table.get(key(2)))
    assert [True, True, False] == [table.make_room() for _ in range(3)]
    assert {b"server00", b"server09"} == {
        b"server%02d" % n for n in range(10) if table.of_cid(b"server%02d" % n)
    }


def test_who_is_too_old_to_wait_makes_no_room():
    table, late = HandshakeTable(), waiting(3, 120.0)
    for number in (1, 2):
        table.add(key(number), waiting(number), proven=True)
    table.add(key(3), late, proven=True)
    table.forget(110.0)
    assert 1 == len(table)
    late.waiting = None
    table.forget(110.0)
    assert not table.make_room()
    assert 1 == len(table)


def test_who_has_hung_up_does_not_count_either():
    table, one = HandshakeTable(), handshake(1)
    one.connection = connect(Role.SERVER, validated=False)
    table.add(key(1), one, proven=False)
    one.connection.close(0, "", 1.0)
    table.forget(100.0)
    assert 0 == table.unproven
