"""A server that says where it is, takes over its users as they change, and goes when asked."""

import json
import signal

import pytest

from tests.cli.processes import PLAIN, one_line, server, started, udpim
from udpim.cli.users_file import hashed


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(tmp_path, stop):
    store = tmp_path / "server.db"
    with server("--store", str(store), "--open", "--stats", stop=stop) as (_, process):
        pass
    out, err = process.rest
    assert (0, "") == (process.returncode, err)
    assert "stats" == json.loads(out)["event"]
    assert ["server.db"] == [path.name for path in tmp_path.iterdir()]


def test_people_get_a_line_too():
    with started("serve", *PLAIN, "--memory", "--open", "--port", "0", "--host", "::1") as process:
        assert process.stdout.readline().startswith("listening on [::1]:")
    assert (0, ("", "going down\n")) == (process.returncode, process.rest)


def test_a_store_in_use_is_refused(tmp_path):
    store = str(tmp_path / "server.db")
    with server("--store", store, "--open"):
        done = udpim("serve", *PLAIN, "--store", store, "--open", "--port", "0")
    assert 1 == done.returncode
    assert 1 == done.stderr.count("\n")
    assert store in done.stderr


def token_of_new(users, name):
    done = udpim("user", "add", "--users", users, name)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.strip()


def test_changed_users_are_taken_over_while_it_runs(tmp_path):
    users = str(tmp_path / "users")
    alice = token_of_new(users, "alice")

    def listen(address, name, token):
        return udpim(
            "listen", address, "--user", name, "--token", token, *PLAIN, "--timeout", "0.1"
        )

    with server("--memory", "--users", users) as (address, process):
        assert 0 == listen(address, "alice", alice).returncode
        bob = token_of_new(users, "bob")
        assert 0 == listen(address, "bob", bob).returncode
        assert 0 == udpim("user", "remove", "--users", users, "bob").returncode
        refused = listen(address, "bob", bob)
        assert 0 == listen(address, "alice", alice).returncode
    assert (0, ("", "")) == (process.returncode, process.rest)
    assert (1, "") == (refused.returncode, refused.stdout)
    assert one_line(refused.stderr)
    assert "wrong credentials" in refused.stderr


@pytest.mark.parametrize("change", ["removed", "another token"])
def test_a_session_ends_when_its_line_goes_or_changes_and_others_go_on(tmp_path, change):
    users = tmp_path / "users"
    token_of_new(str(users), "alice")
    bob, carol = token_of_new(str(users), "bob"), token_of_new(str(users), "carol")
    with server("--memory", "--users", str(users), "--stats") as (address, process):
        login = ("--token", bob, *PLAIN, "--timeout", "50")
        with (
            started("listen", address, "--user", "bob", *login) as listener,
            started("listen", address, "--user", "carol", "--token", carol, *PLAIN) as other,
        ):
            for name, token in (("bob", bob), ("carol", carol)):
                send = ("send", address, "--user", name, "--device", "2", "--token", token, *PLAIN)
                assert 0 == udpim(*send, "--to", name, "hi").returncode
            assert "hi\n" in listener.stdout.readline()
            if change == "removed":
                assert 0 == udpim("user", "remove", "--users", str(users), "bob").returncode
            else:
                users.write_text(users.read_text().replace(hashed(bob), hashed("another token")))
            assert 1 == listener.wait(50)
            assert other.poll() is None
    assert one_line(listener.rest[1])
    assert "lets this login in no more" in listener.rest[1]
    assert 1 == json.loads(process.rest[0])["revoked_logins"]


def test_a_user_who_was_removed_unseen_is_an_unknown_recipient(tmp_path):
    users = str(tmp_path / "users")
    alice = token_of_new(users, "alice")
    with server("--memory", "--users", users) as (address, _):
        send = ("send", address, "--user", "alice", "--token", alice, *PLAIN, "--to", "bob", "hi")
        token_of_new(users, "bob")
        waits = udpim(*send, "--timeout", "0.5")
        assert 0 == udpim("user", "remove", "--users", users, "bob").returncode
        rejected = udpim(*send)
    assert (3, "pending") == (waits.returncode, waits.stdout.split()[0])
    assert (4, "rejected") == (rejected.returncode, rejected.stdout.split()[0])
    assert "unknown recipient" in rejected.stdout


def test_a_users_file_that_breaks_is_said_once_and_changes_nothing(tmp_path):
    users = tmp_path / "users"
    users.write_text("alice one\n")
    login = ("--user", "alice", "--token", "one", *PLAIN, "--timeout", "0.1")
    with server("--memory", "--users", str(users)) as (address, process):
        users.write_text("alice one\nbob\n")
        for _ in range(3):
            assert 0 == udpim("listen", address, *login).returncode
    assert 0 == process.returncode
    assert one_line(process.rest[1])
    assert "line 2: expected a token, key:… or both" in process.rest[1]
