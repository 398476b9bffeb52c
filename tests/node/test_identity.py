"""Who a client's store says it is."""

import pytest

from udpim.config import ClientConfig
from udpim.errors import ConfigError
from udpim.node.identity import Identity

ALICE = ClientConfig(user="alice", device="a", token=b"pw")


def identity(meta=None, *, durable=True, config=ALICE):
    return Identity(config, meta or {}, durable=durable, random_bytes=lambda n: b"\xff" * n)


def meta(some):
    return {op.key: op.value for op in some.take_ops()}


@pytest.mark.parametrize("durable", [True, False])
def test_the_highest_bit_says_whether_the_inbox_is_durable(durable):
    some = identity(durable=durable)
    assert durable == some.incarnation >> 63
    assert 2**63 - 1 == some.incarnation & (2**63 - 1)


def test_an_identity_survives_its_store_and_counts_on():
    first = identity()
    login = first.next_login()
    assert ("alice", "a", b"pw", first.incarnation, 1) == tuple(login)[:5]
    assert (login.continues, login.four_packets) == (False, False)
    kept = meta(first)
    again = identity(kept)
    assert [] == again.take_ops()
    assert (first.incarnation, 2) == (again.incarnation, again.next_login().login_count)
    assert {"login_count"} == set(meta(again))


def test_a_new_incarnation_is_written():
    some = identity({"incarnation": b"\0" * 8})
    assert 0 == some.incarnation
    assert some.renew() == some.incarnation == int.from_bytes(meta(some)["incarnation"], "big")


def test_a_store_of_somebody_else_is_refused():
    kept = meta(identity())
    with pytest.raises(ConfigError, match="the store belongs to alice/a, not to alice/b"):
        identity(kept, config=ClientConfig(user="alice", device="b"))


def test_messages_raise_the_mark_once_the_server_has_let_it_in():
    some = identity()
    some.next_login()
    some.reached(70)
    assert 1 == int.from_bytes(meta(some)["login_count"], "big")
    assert some.let_in()
    assert 70 == int.from_bytes(meta(some)["login_count"], "big")
    some.reached(71)
    assert 71 == some.login_count
    assert not some.let_in()


def test_what_was_written_before_it_was_let_in_does_not_hide_an_old_copy():
    kept = {}
    for _ in range(3):
        some = identity(kept)
        some.reached(10**6)
        kept |= meta(some)
    assert 1 == identity(kept).next_login().login_count
