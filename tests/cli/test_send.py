"""``send`` tells the truth about each message, in words and in its exit code."""

import json

import pytest

from tests.cli.processes import PATIENCE_S, PLAIN, one_line, server, started, udpim


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users"
    path.write_text("alice one\nbob two\ncarol three\n")
    return str(path)


@pytest.fixture
def address(tmp_path, users):
    with server("--store", str(tmp_path / "server.db"), "--users", users) as (found, process):
        yield found
    assert (0, "") == (process.returncode, process.rest[1])


def alice(address, *more):
    return ("send", address, "--user", "alice", "--token", "one", *PLAIN, *more)


def bob(address, *more):
    return ("listen", address, "--user", "bob", "--token", "two", "--json", *PLAIN, *more)


def register_bob(address, *more):
    """Let bob log in once, so that the server knows a device of his."""
    done = udpim(*bob(address, "--timeout", "0.1", *more))
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_messages_reach_a_listener_and_receipts_come_back(address, tmp_path):
    store = str(tmp_path / "bob.db")
    register_bob(address, "--store", store)
    with started(*bob(address, "--store", store, "--count", "3", "--timeout", "60")) as listener:
        done = udpim(*alice(address, "--to", "bob", "--json", "eins", "zwei", "d\x1bei"))
        assert 0 == listener.wait(PATIENCE_S)
    assert (0, "") == (done.returncode, done.stderr)
    sent = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["delivered"] * 3 == [each["state"] for each in sent]
    got = [json.loads(line) for line in listener.rest[0].splitlines()]
    assert ["eins", "zwei", "d\x1bei"] == [each["text"] for each in got]
    assert {("alice", "cli")} == {(each["from"], each["device"]) for each in got}
    assert [each["msgid"] for each in sent] == [each["msgid"] for each in got]


def test_lines_of_standard_input_wait_for_who_is_away(address, tmp_path):
    store = str(tmp_path / "bob.db")
    register_bob(address, "--store", store)
    lines = b"first\r\nsecond\n\nlast \xff without an end"
    with (tmp_path / "lines").open("w+b") as file:
        file.write(lines)
        file.seek(0)
        done = udpim(*alice(address, "--to", "bob", "--wait", "stored"), stdin=file)
    assert (0, "") == (done.returncode, done.stderr)
    assert ["stored"] * 4 == [line.split()[0] for line in done.stdout.splitlines()]
    got = udpim(*bob(address, "--store", store, "--count", "4", "--timeout", "60"))
    assert (0, "") == (got.returncode, got.stderr)
    found = [json.loads(line) for line in got.stdout.splitlines()]
    assert ["first", "second", "", b"last \xff without an end".hex()] == [
        each.get("text", each.get("hex")) for each in found
    ]
    # What was printed was handled: nothing comes again.
    register_bob(address, "--store", store)


def test_what_is_not_confirmed_in_time_is_exit_3(address, tmp_path):
    register_bob(address, "--store", str(tmp_path / "bob.db"))
    done = udpim(*alice(address, "--to", "bob", "--timeout", "0.5", "hello"))
    assert 3 == done.returncode
    assert done.stdout.split()[0] in ("pending", "accepted", "stored")
    assert "" == done.stderr


def test_accepted_is_enough_when_asked_for(address, tmp_path):
    register_bob(address, "--store", str(tmp_path / "bob.db"))
    done = udpim(*alice(address, "--to", "bob", "--wait", "accepted", "hello", "--stats"))
    assert 0 == done.returncode
    first, stats = done.stdout.splitlines()
    assert first.split()[0] in ("accepted", "stored")
    assert "stats" == json.loads(stats)["event"]


def test_an_unknown_recipient_is_rejected_with_exit_4(address):
    done = udpim(*alice(address, "--to", "zoe", "hello"))
    assert (4, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("rejected ")
    assert "unknown recipient" in done.stdout
    assert 1 == done.stdout.count("\n")


def test_a_wrong_token_is_one_line_and_exit_1(address):
    done = udpim("send", address, "--user", "alice", "--token", "x", *PLAIN, "--to", "bob", "hi")
    assert (1, "") == (done.returncode, done.stdout)
    assert one_line(done.stderr)
    assert "credentials" in done.stderr


def test_a_line_too_long_ends_the_sending_after_what_came_before(address, tmp_path):
    register_bob(address, "--store", str(tmp_path / "bob.db"))
    lines = f"good\n{'x' * 1_048_577}\nnever\n"
    done = udpim(*alice(address, "--to", "bob", "--wait", "stored"), stdin=None, input=lines)
    assert 1 == done.returncode
    assert one_line(done.stderr)
    assert "1048577" in done.stderr
    assert ["stored"] == [line.split()[0] for line in done.stdout.splitlines()]
