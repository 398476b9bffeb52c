"""A device's public key, for the users file of the server that is to admit it."""

import json
import signal

from tests.cli.processes import one_line, started, udpim

SECURE = ("--security", "require")


def key_of(store):
    done = udpim("key", "--store", str(store))
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.strip()


def test_a_store_has_one_key_for_ever_and_another_store_another(tmp_path):
    first = key_of(tmp_path / "one.db")
    assert 44 == len(first)
    assert first == key_of(tmp_path / "one.db")
    assert first != key_of(tmp_path / "two.db")


def test_a_machine_gets_json(tmp_path):
    store = str(tmp_path / "one.db")
    told = json.loads(udpim("key", "--store", store, "--json").stdout)
    assert {"store": store, "key": key_of(store)} == told


def test_a_servers_store_is_no_devices(tmp_path):
    store = str(tmp_path / "server.db")
    with started("serve", "--json", "--port", "0", "--store", store, "--open", *SECURE) as server:
        server.stdout.readline()
        in_use = udpim("key", "--store", store)
    for done in (in_use, udpim("key", "--store", store)):
        assert (1, "") == (done.returncode, done.stdout)
        assert one_line(done.stderr)


def test_a_device_logs_in_by_its_key_and_one_without_it_does_not(tmp_path):
    users, store, file = tmp_path / "users", str(tmp_path / "bob.db"), str(tmp_path / "bob.key")
    stored, made = key_of(store), udpim("keygen", file).stdout.strip()
    add = ("user", "add", "--users", str(users), "bob", "--no-token")
    assert 0 == udpim(*add, "--key", stored, "--key", made).returncode
    serve = ("--json", "--port", "0", "--memory", "--users", str(users), *SECURE)
    with started("serve", *serve, stop=signal.SIGTERM) as server:
        ready = json.loads(server.stdout.readline())
        url = f"udpim://{ready['host']}:{ready['port']}"
        login = ("listen", url, "--user", "bob", *SECURE, "--server-key", ready["key"])
        login += ("--timeout", "0.1")
        assert 0 == udpim(*login, "--store", store).returncode
        assert 0 == udpim(*login, "--key", file).returncode
        assert 0 == udpim(*login, "--key", file, "--store", str(tmp_path / "new.db")).returncode
        stranger = udpim(*login, "--store", str(tmp_path / "other.db"), "--token", stored)
    assert (1, "") == (stranger.returncode, stranger.stdout)
    assert one_line(stranger.stderr)
    assert "wrong credentials" in stranger.stderr


def test_a_device_whose_key_is_taken_out_of_its_line_is_sent_away_and_the_other_stays(tmp_path):
    users, stores = tmp_path / "users", [str(tmp_path / name) for name in ("one.db", "two.db")]
    one, two = map(key_of, stores)
    users.write_text(f"bob key:{one} key:{two}\n")
    serve = ("--json", "--port", "0", "--memory", "--users", str(users), *SECURE)
    with started("serve", *serve, stop=signal.SIGTERM) as server:
        ready = json.loads(server.stdout.readline())
        url = f"udpim://{ready['host']}:{ready['port']}"
        login = ("listen", url, "--user", "bob", *SECURE, "--server-key", ready["key"])
        devices = [("--store", store, "--device", store[-6:-3]) for store in stores]
        for device in devices:  # from here on what is sent waits for both
            assert 0 == udpim(*login, *device, "--timeout", "0.1").returncode
        with (
            started(*login, *devices[0], "--count", "1") as first,
            started(*login, *devices[1], "--timeout", "60") as second,
        ):
            send = ("send", url, "--user", "bob", *SECURE, "--server-key", ready["key"])
            file = tmp_path / "three.db"
            users.write_text(f"bob key:{one} key:{two} key:{key_of(file)}\n")
            send += ("--store", str(file), "--device", "3", "--to", "bob", "--wait", "accepted")
            assert 0 == udpim(*send, "hi").returncode
            assert 0 == first.wait(50), "its message has come, so it was in"
            assert "hi\n" in second.stdout.readline()
            users.write_text(f"bob key:{one}\n")
            assert 1 == second.wait(50)
    assert one_line(second.rest[1])
    assert "lets this login in no more" in second.rest[1]
