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


def test_who_has_hung_up_does_not_count_either():
    table, one = HandshakeTable(), handshake(1)
    one.connection = connect(Role.SERVER, validated=False)
    table.add(key(1), one, proven=False)
    one.connection.close(0, "", 1.0)
    table.forget(100.0)
    assert 0 == table.unproven
