"""Encrypted connections as applications ask for them."""

import pytest

import udpim
from tests.runtime.helpers import live, payloads, take
from udpim.crypto.key_log import parse_line
from udpim.runtime.keys import STATIC_KEY, format_key, write_key_pair, write_secret
from udpim.store.sqlite import SQLiteStore


def serve(**options):
    options.setdefault("open_to_all", "authenticate" not in options)
    return udpim.Server(**options).listen("127.0.0.1", 0)


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


@live
async def test_the_hook_admits_by_key_and_a_store_keeps_it(tmp_path):
    seen = []

    def admits(request):
        seen.append(request.key)
        return request.key in allowed

    allowed = set()
    async with serve(authenticate=admits) as server:
        store = tmp_path / "alice.db"
        with pytest.raises(udpim.LoginError, match="wrong credentials"):
            await login(server, "alice", store=store)
        allowed.update(seen)
        async with login(server, "alice", store=store) as alice:
            assert allowed == {alice.public_key}
        with pytest.raises(udpim.LoginError):
            await login(server, "alice", store=tmp_path / "other.db")
    assert [alice.public_key] * 2 == seen[:2]
    assert 3 == len(seen)


@live
async def test_a_device_brings_its_key_in_a_file(tmp_path):
    file, seen = tmp_path / "alice.key", []
    public = format_key(write_key_pair(file).public)

    def hook(request):
        seen.append(request.key)
        return True

    async with serve(authenticate=hook) as server:
        for store in (None, None, tmp_path / "alice.db"):
            async with login(server, "alice", key=file, store=store) as alice:
                assert public == alice.public_key
    assert [public] * 3 == seen


@live
async def test_without_a_file_and_without_a_store_each_client_has_a_key_of_its_own():
    seen = []

    def hook(request):
        seen.append(request.key)
        return True

    async with serve(authenticate=hook) as server:
        for _ in range(2):
            async with login(server, "alice"):
                pass
    assert 2 == len(set(seen))
    assert None not in seen


@live
async def test_in_plain_text_nobody_has_a_key_and_no_store_keeps_one(tmp_path):
    seen = []

    def hook(request):
        seen.append(request.key)
        return True

    stores = tmp_path / "server.db", tmp_path / "alice.db"
    server = udpim.Server(authenticate=hook, security="plain", store=stores[0])
    async with server.listen("127.0.0.1", 0) as listening:
        options = {"security": "plain", "server_key": None, "store": stores[1]}
        async with login(listening, "alice", **options) as alice:
            assert (None, None) == (alice.public_key, listening.public_key)
    assert [None] == seen
    for path, kind in zip(stores, ("server", "client"), strict=True):
        store = SQLiteStore(str(path), kind=kind)
        assert (
            STATIC_KEY
            not in (store.load_server() if kind == "server" else store.load_client()).meta
        )
        store.close()


@pytest.fixture
def psk(tmp_path):
    write_secret(tmp_path / "psk")
    return tmp_path / "psk"


@pytest.mark.parametrize("first_contact", [True, False])
@live
async def test_a_secret_that_both_know_lets_in(tmp_path, psk, first_contact):
    options = {"known_hosts": tmp_path / "hosts"} if first_contact else {}
    async with (
        serve(psk=psk) as server,
        login(server, "bob", psk=psk, **options) as bob,
        login(server, "alice", psk=psk, **options) as alice,
    ):
        receipt = await alice.send("bob", b"hi")
        assert [b"hi"] == [message.payload for message in await take(bob, 1)]
        await receipt


@pytest.mark.parametrize("sides", ["server only", "client only", "another"])
@pytest.mark.parametrize("first_contact", [True, False])
@live
async def test_without_the_secret_or_with_another_nobody_is_talked_to(
    tmp_path, psk, first_contact, sides
):
    write_secret(tmp_path / "other")
    asked, hosts = [], tmp_path / "hosts"
    ours = None if sides == "client only" else psk
    theirs = {"server only": None, "client only": psk, "another": tmp_path / "other"}[sides]
    options = {"known_hosts": hosts} if first_contact else {}
    async with serve(psk=ours, authenticate=lambda login: bool(asked.append(login))) as server:
        with pytest.raises(udpim.ConnectError):
            await login(server, "alice", psk=theirs, connect_timeout=1.0, **options)
    assert [] == asked


def test_a_secret_that_others_may_read_is_refused(psk):
    psk.chmod(0o644)
    with pytest.raises(udpim.ConfigError, match="others may read the shared secret"):
        serve(psk=psk)


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
        ({"security": "plain", "key": "x"}, "nobody proves anything"),
        ({"security": "plain", "psk": "x"}, "nobody proves anything"),
        ({"known_hosts": "x", "key": "x"}, "no private key in x"),
        ({"known_hosts": "x", "psk": "x"}, "no shared secret in x"),
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
