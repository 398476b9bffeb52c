"""A server that says where it is, takes over its users as they change, and goes when asked."""

import json
import signal

import pytest

from tests.cli.processes import PLAIN, one_line, server, started, udpim


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


def test_a_session_of_a_removed_user_goes_on(tmp_path):
    users = str(tmp_path / "users")
    alice, bob = token_of_new(users, "alice"), token_of_new(users, "bob")
    with server("--memory", "--users", users) as (address, _):
        login = ("--user", "bob", "--token", bob, *PLAIN)
        udpim("listen", address, *login, "--timeout", "0.1")
        with started("listen", address, *login, "--count", "2", "--timeout", "50") as listener:
            send = ("send", address, "--user", "alice", "--token", alice, *PLAIN, "--to", "bob")
            assert 0 == udpim(*send, "before").returncode
            assert 0 == udpim("user", "remove", "--users", users, "bob").returncode
            assert 0 == udpim(*send, "after").returncode
            assert 0 == listener.wait(50)
    assert "alice: before\nalice: after\n" == listener.rest[0]


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
    assert "line 2: expected a name and a token" in process.rest[1]
