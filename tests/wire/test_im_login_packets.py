"""Packets of a login."""

from udpim.wire.im_login_packets import Login


def test_a_login_shows_who_it_is_and_not_its_token():
    shown = repr(Login("alice", "phone", b"a secret", 7, 1))
    assert shown.startswith("Login(user='alice', device='phone', incarnation=7")
    assert "secret" not in shown
