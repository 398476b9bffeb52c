"""Ids and tokens that prove themselves."""

import random

from udpim.crypto.tokens import ADDRESS_TOKEN_S_MAX, AddressTokens, ConnectionIdIssuer

SECRET = b"0123456789abcdef"


def issuer(secret=SECRET, server_id=3):
    return ConnectionIdIssuer(secret, server_id)


def test_an_issued_id_verifies_in_a_later_life_of_the_same_process():
    cid = issuer().issue(random.Random(1).randbytes)
    assert len(cid) == 8
    assert cid[0] == 3
    assert issuer().verifies(cid)


def test_an_id_of_another_process_or_another_secret_does_not_verify():
    cid = issuer().issue(random.Random(1).randbytes)
    assert not issuer(server_id=4).verifies(cid)
    assert not issuer(secret=b"fedcba9876543210").verifies(cid)


def test_an_invented_id_does_not_verify():
    cid = issuer().issue(random.Random(1).randbytes)
    assert not issuer().verifies(bytes((3,)) + bytes(7))
    assert not issuer().verifies(cid[:4] + b"\xff" + cid[5:])
    assert not issuer().verifies(cid[:7])


def test_reset_tokens_depend_on_the_id_and_the_secret():
    one, other = b"\x03aaaaaaa", b"\x03aaaaaab"
    tokens = {
        issuer().reset_token(one),
        issuer().reset_token(other),
        issuer(secret=b"fedcba9876543210").reset_token(one),
    }
    assert len(tokens) == 3
    assert {len(token) for token in tokens} == {16}
    assert issuer().reset_token(one) in tokens


def test_an_address_token_is_good_for_its_address_and_its_time():
    tokens = AddressTokens(SECRET)
    token = tokens.issue(b"192.0.2.1 9000", 50.0)
    assert tokens.valid(token, b"192.0.2.1 9000", 50.0)
    assert tokens.valid(token, b"192.0.2.1 9000", 50.0 + ADDRESS_TOKEN_S_MAX)
    assert not tokens.valid(token, b"192.0.2.1 9001", 50.0)
    assert not tokens.valid(token, b"192.0.2.1 9000", 50.1 + ADDRESS_TOKEN_S_MAX)


def test_an_address_token_of_the_future_is_not_valid():
    """The clock of a restarted machine starts again, and must not make old tokens immortal."""
    tokens = AddressTokens(SECRET)
    assert not tokens.valid(tokens.issue(b"a", 50.0), b"a", 49.0)


def test_garbage_is_no_address_token():
    tokens = AddressTokens(SECRET)
    for garbage in (b"", b"x" * 8, b"x" * 24, bytes(255)):
        assert not tokens.valid(garbage, b"a", 1.0)
