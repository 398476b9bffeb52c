"""Encrypted connections as applications ask for them."""

import pytest

import udpim
from tests.runtime.helpers import live, payloads, take
from udpim.crypto.key_log import parse_line
from udpim.runtime.keys import format_key, write_key_pair


def serve(**options):
    return udpim.Server(open_to_all=True, **options).listen("127.0.0.1", 0)


def login(listening, user, **options):
    host, port = listening.address
    if "known_hosts" not in options:
        options.setdefault("server_key", listening.public_key)
    options = {"reconnect_s_max": 0.2, "close_timeout": 2.0} | options
    return udpim.connect(f"udpim://{host}:{port}", user=user, **options)


@live
async def test_messages_travel_under_a_pinned_key(tmp_path):
    async with serve() as server, login(server, "bob") as bob, login(server, "alice") as alice:
        sent = payloads(300)
        receipts = await alice.send_many("bob", sent)
        assert sent == [message.payload for message in await take(bob, len(sent))]
        for receipt in receipts:
            await receipt


@live
async def test_the_key_survives_the_server_in_its_store(tmp_path):
    async with serve(store=tmp_path / "server.db") as server:
        key = server.public_key
    async with serve(store=tmp_path / "server.db") as server:
        assert key == server.public_key
        async with login(server, "alice", server_key=key) as alice:
            assert udpim.LinkState.ONLINE is alice.state


@live
async def test_a_key_of_its_own_comes_from_a_file(tmp_path):
    file = tmp_path / "server.key"
    public = format_key(write_key_pair(file).public)
    async with serve(key=file) as server:
        assert public == server.public_key
        async with login(server, "alice", server_key=public):
            pass


@live
async def test_a_server_with_another_key_than_the_pinned_one_is_not_talked_to(tmp_path):
    other = format_key(write_key_pair(tmp_path / "other.key").public)
    async with serve() as server:
        with pytest.raises(udpim.ConnectTimeout):
            await login(server, "alice", server_key=other, connect_timeout=1.0)


@live
async def test_a_first_contact_is_trusted_and_another_server_in_its_place_is_refused(tmp_path):
    hosts = tmp_path / "known_hosts"
    async with serve() as server:
        port = server.address[1]
        for _ in range(2):
            async with login(server, "alice", known_hosts=hosts):
                pass
        assert 1 == len(hosts.read_text().splitlines())
    again = udpim.Server(open_to_all=True, security="require").listen("127.0.0.1", port)
    async with again as server:
        with pytest.raises(udpim.ServerKeyChanged):
            await login(server, "alice", known_hosts=hosts)


@live
async def test_a_client_that_meets_another_server_later_ends_and_says_why(tmp_path):
    hosts = tmp_path / "known_hosts"
    async with serve() as first:
        port = first.address[1]
        alice = await login(first, "alice", known_hosts=hosts)
    again = udpim.Server(open_to_all=True, security="require").listen("127.0.0.1", port)
    async with again:
        with pytest.raises(udpim.ServerKeyChanged):
            async for _ in alice:
                pass
        with pytest.raises(udpim.ServerKeyChanged):
            await alice.send("bob", b"hi")
        await alice.close()


@pytest.mark.parametrize(("server", "client"), [("require", "plain"), ("plain", "require")])
@live
async def test_neither_side_is_talked_down_or_up(tmp_path, server, client):
    listening = udpim.Server(open_to_all=True, security=server).listen("127.0.0.1", 0)
    async with listening:
        options = {} if client == "plain" else {"known_hosts": tmp_path / "known_hosts"}
        host, port = listening.address
        connecting = udpim.connect(
            f"udpim://{host}:{port}", user="a", security=client, connect_timeout=1.0, **options
        )
        with pytest.raises(udpim.ConnectTimeout):
            await connecting
        assert not (tmp_path / "known_hosts").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"security": "plain", "server_key": "x"}, "nothing checks the server"),
        ({"security": "plain", "known_hosts": "x"}, "nothing checks the server"),
        ({"server_key": "x", "known_hosts": "x"}, "either server_key says which server"),
        ({"security": "require", "server_key": "x"}, "server_key is no key"),
        ({"server_key": "x"}, "server_key is no key"),
        ({"security": "tls"}, 'security is "require"'),
        ({"security": None}, 'security is "require"'),
    ],
)
def test_a_wrong_choice_is_refused_at_once(options, words):
    with pytest.raises(udpim.ConfigError, match=words):
        udpim.connect("udpim://localhost", user="alice", **options)


def test_a_key_file_that_is_none_is_refused_at_once(tmp_path):
    with pytest.raises(udpim.ConfigError, match="no private key in"):
        udpim.Server(open_to_all=True, security="require", key=tmp_path / "none")


@live
async def test_who_says_nothing_gets_encryption_and_a_list_of_known_servers(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    async with serve() as server:
        host, port = server.address
        async with udpim.connect(f"udpim://{host}:{port}", user="alice"):
            known = tmp_path / "config" / "udpim" / "known_hosts"
            assert known.read_text() == f"{host}:{port} {server.public_key}\n"
            assert known.stat().st_mode & 0o077 == 0


@live
async def test_the_key_log_of_the_environment_opens_what_was_captured(
    tmp_path, monkeypatch, caplog
):
    log = tmp_path / "keys.log"
    monkeypatch.setenv("UDPIM_KEYLOGFILE", str(log))
    async with serve() as server, login(server, "alice"):
        pass
    at_server, at_client = log.read_text().splitlines()
    assert at_server == at_client
    assert parse_line(at_client) is not None
    assert log.stat().st_mode & 0o777 == 0o600
    assert "UDPIM_KEYLOGFILE is set" in caplog.text
    assert at_client.split()[-1] not in caplog.text
