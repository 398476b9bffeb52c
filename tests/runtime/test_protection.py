"""What a program asked for becomes the settings of its connections, and nothing less."""

from udpim.crypto.noise.suites import X25519_DH
from udpim.crypto.security import ClientSecurity, Plain, ServerSecurity
from udpim.hop.config import HopConfig
from udpim.runtime.key_log_file import VARIABLE
from udpim.runtime.protection import client_hop, server_hop
from udpim.runtime.settings import Secrets, Trust

KEY = X25519_DH.key_pair(bytes(range(1, 33)))
SERVER = X25519_DH.key_pair(bytes(range(2, 34))).public
PSK = bytes(range(3, 35))
SECRETS = Secrets(security="require", psk=PSK)
HOP = HopConfig(keepalive_s=7.0)


def accepts(key):
    return True


def test_without_a_key_it_stays_as_it_was_given():
    plain = Secrets(security="plain")
    assert HOP is client_hop(HOP, None, Trust(security="plain"), plain, accepts)
    assert HOP is server_hop(HOP, None, plain)
    assert Plain() == server_hop(None, None, plain).security


def test_a_pinned_key_leaves_nothing_to_be_judged():
    hop = client_hop(HOP, KEY, Trust(security="require", server_key=SERVER), SECRETS, accepts)
    assert ClientSecurity(static=KEY, server_key=SERVER, psk=PSK) == hop.security
    assert 7.0 == hop.keepalive_s


def test_without_a_pinned_key_the_server_s_is_judged():
    hop = client_hop(None, KEY, Trust(security="require"), SECRETS, accepts)
    assert ClientSecurity(static=KEY, accept_key=accepts, psk=PSK) == hop.security


def test_a_server_has_its_key_and_what_is_shared():
    assert ServerSecurity(static=KEY, psk=PSK) == server_hop(None, KEY, SECRETS).security


def test_a_key_log_is_that_of_the_program_before_that_of_the_environment(monkeypatch, tmp_path):
    assert server_hop(None, KEY, SECRETS).key_log is None
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keys"))
    assert server_hop(None, KEY, SECRETS).key_log is not None
    own = [].append
    assert own is server_hop(HopConfig(key_log=own), KEY, SECRETS).key_log
