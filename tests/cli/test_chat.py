"""The chat as a shell starts it: through pipes, and on a terminal of its own."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.cli.processes import PATIENCE_S, PLAIN, one_line, server, started, udpim
from tests.cli.terminal import Terminal
from udpim.cli import chat, main


@pytest.fixture
def address(tmp_path):
    with server("--store", str(tmp_path / "server.db"), "--open") as (found, process):
        yield found
    assert (0, "") == (process.returncode, process.rest[1])


@pytest.fixture
def who(tmp_path, address):
    """The arguments of one side's chat, each side with its store."""

    def arguments(user, to, *more):
        store = str(tmp_path / f"{user}.db")
        return ("chat", address, "--user", user, "--to", to, "--store", store, *PLAIN, *more)

    return arguments


def register(who, user):
    assert 0 == udpim(*who(user, "nobody")).returncode


def end_of_input(process):
    process.stdin.close()
    process.stdin = None  # so that nobody closes it again


# --- Through pipes ---


def test_two_processes_talk_both_ways(who):
    register(who, "bob")
    pipe = {"stdin": subprocess.PIPE}
    with (
        started(*who("alice", "bob"), **pipe) as alice,
        started(*who("bob", "alice"), **pipe) as bob,
    ):
        alice.stdin.write("hi b\x1bob\n")
        alice.stdin.flush()
        assert "alice: hi b\\x1bob\n" == bob.stdout.readline()
        bob.stdin.write("hi alice\n")
        bob.stdin.flush()
        told = {alice.stdout.readline(), alice.stdout.readline()}
        assert {"delivered alice/cli→bob#1\n", "bob: hi alice\n"} == told
        assert "delivered bob/cli→alice#1\n" == bob.stdout.readline()
        for each in (alice, bob):
            end_of_input(each)
            assert 0 == each.wait(PATIENCE_S)
    assert [("", "")] * 2 == [alice.rest, bob.rest]


def test_a_machine_reads_every_event(who):
    register(who, "bob")
    sent = udpim(*who("alice", "bob", "--json"), stdin=None, input="one\n")
    got = udpim(*who("bob", "alice", "--json"), stdin=None, input="two\n")
    assert [(0, ""), (0, "")] == [(each.returncode, each.stderr) for each in (sent, got)]
    events = [json.loads(line) for line in sent.stdout.splitlines()]
    assert ["online", "sent"] == [each["event"] for each in events[:2]]
    assert ("one", "alice/cli→bob#1") == (events[1]["text"], events[1]["msgid"])
    assert {"state"} == {each["event"] for each in events[2:]}
    assert "stored" == events[-1]["state"]
    events = [json.loads(line) for line in got.stdout.splitlines()]
    (message,) = [each for each in events if each["event"] == "message"]
    assert ("alice", "one", "alice/cli→bob#1") == (
        message["from"], message["text"], message["msgid"],
    )  # fmt: skip


def test_a_message_that_came_is_not_printed_again(who):
    register(who, "bob")
    assert 0 == udpim(*who("alice", "bob"), stdin=None, input="once\n").returncode
    with started(*who("bob", "alice"), stdin=subprocess.PIPE) as bob:
        assert "alice: once\n" == bob.stdout.readline()
        end_of_input(bob)
        assert 0 == bob.wait(PATIENCE_S)
    again = udpim(*who("bob", "alice"), stdin=None, input="y\n")
    assert "alice: once\n" not in again.stdout


def test_what_is_stored_is_enough_and_the_receipt_comes_to_a_later_run(who):
    register(who, "bob")
    stored = udpim(*who("alice", "bob"), stdin=None, input="hi\n")
    assert (0, "stored    alice/cli→bob#1\n", "") == (
        stored.returncode, stored.stdout, stored.stderr,
    )  # fmt: skip
    with started(*who("bob", "alice"), stdin=subprocess.PIPE) as bob:
        assert "alice: hi\n" == bob.stdout.readline()
        with started(*who("alice", "bob"), stdin=subprocess.PIPE) as alice:
            assert "delivered alice/cli→bob#1\n" == alice.stdout.readline()
            end_of_input(alice)
            assert 0 == alice.wait(PATIENCE_S)
        end_of_input(bob)
        assert 0 == bob.wait(PATIENCE_S)


def test_an_unknown_recipient_is_exit_4_with_the_reason(who):
    done = udpim(*who("alice", "zoe"), stdin=None, input="hi\n")
    assert (4, "") == (done.returncode, done.stderr)
    assert "rejected  alice/cli→zoe#1  (unknown recipient)\n" == done.stdout


def test_a_line_too_long_is_exit_1_after_what_came_before(who):
    register(who, "bob")
    text = f"good\n{'x' * 1_048_577}\nnever\n"
    done = udpim(*who("alice", "bob"), stdin=None, input=text)
    assert (1, "") == (done.returncode, done.stdout)
    assert one_line(done.stderr)
    assert "1048577" in done.stderr
    with started(*who("bob", "alice"), stdin=subprocess.PIPE) as bob:
        assert "alice: good\n" == bob.stdout.readline()
        end_of_input(bob)
        assert 0 == bob.wait(PATIENCE_S)
    assert ("", "") == bob.rest


def test_what_is_not_settled_in_time_is_exit_3(tmp_path):
    users = tmp_path / "users"
    users.write_text("alice one\nbob two\n")
    with server("--memory", "--users", str(users)) as (address, _):
        done = udpim(
            "chat", address, "--user", "alice", "--token", "one", "--to", "bob", *PLAIN,
            "--timeout", "0.2", stdin=None, input="hi\n",
        )  # fmt: skip
    assert (3, "pending   alice/cli→bob#1\n") == (done.returncode, done.stdout)
    assert f"udpim: {chat.FORGOTTEN}\n" == done.stderr


def test_a_refused_login_is_one_line_and_exit_1(tmp_path):
    users = tmp_path / "users"
    users.write_text("alice one\n")
    store = tmp_path / "alice.db"
    with server("--memory", "--users", str(users)) as (address, _):
        done = udpim(
            "chat", address, "--user", "alice", "--token", "x", "--to", "bob", *PLAIN,
            "--store", str(store),
        )  # fmt: skip
    assert (1, "") == (done.returncode, done.stdout)
    assert one_line(done.stderr)
    assert "wrong credentials" in done.stderr
    assert not (tmp_path / "alice.db-chat").exists()


def test_a_loss_of_the_server_is_told_and_passes(tmp_path):
    store = ("--store", str(tmp_path / "server.db"), "--open")
    with ExitStack() as stack:
        with server(*store) as (address, _):
            assert 0 == udpim("chat", address, "--user", "bob", "--to", "nobody", *PLAIN).returncode
            alice = stack.enter_context(
                started(
                    "chat", address, "--user", "alice", "--to", "bob", "--json", *PLAIN,
                    stdin=subprocess.PIPE,
                )
            )  # fmt: skip
            assert "online" == json.loads(alice.stdout.readline())["event"]
        assert "offline" == json.loads(alice.stdout.readline())["event"]
        alice.stdin.write("later\n")
        alice.stdin.flush()
        assert "sent" == json.loads(alice.stdout.readline())["event"]
        with (
            server(*store, "--port", address.rpartition(":")[2]),
            started("listen", address, "--user", "bob", *PLAIN),
        ):
            events = []
            while not events or events[-1] in ("online", "stored"):
                event = json.loads(alice.stdout.readline())
                events.append(event.get("state", event["event"]))
            end_of_input(alice)
            assert 0 == alice.wait(PATIENCE_S)
    assert {"online", "delivered"} <= set(events)


def test_ctrl_c_drains_and_is_exit_130(who):
    with started(*who("alice", "bob"), stdin=subprocess.PIPE, stop=signal.SIGINT) as alice:
        alice.stdin.write("hi\n")
        alice.stdin.flush()
        assert alice.stdout.readline().startswith("rejected ")
    assert (130, ("", "udpim: interrupted\n")) == (alice.returncode, alice.rest)


def test_ctrl_c_in_a_flood_of_lines_is_one_line(who, tmp_path):
    """The thread that reads them is in the middle of handing one over."""
    flood = tmp_path / "flood"
    flood.write_bytes(b"x\n" * 200_000)
    arguments = who("alice", "alice", "--json")
    with (
        flood.open("rb") as lines,
        started(*arguments, stdin=lines, stop=signal.SIGINT) as alice,
    ):
        assert "online" == json.loads(alice.stdout.readline())["event"]
        assert alice.stdout.readline()
    assert (130, "udpim: interrupted\n") == (alice.returncode, alice.rest[1])


def test_a_wrong_recipient_name_is_said_before_anything_else(capsys):
    login = ("udpim://127.0.0.1:9", "--user", "alice", *PLAIN)
    assert 1 == main(["chat", *login, "--to", "x" * 33])
    assert "recipient must have 1 to 32 bytes" in capsys.readouterr().err


# --- On a terminal ---


def test_on_a_terminal_a_mark_moves_and_a_restart_shows_it(who):
    register(who, "bob")
    with Terminal(*who("alice", "bob")) as terminal:
        terminal.see("alice → bob | online | all settled | /help")
        terminal.type("how are you?\r")
        terminal.see("s alice→bob: how are you?", "1 unsettled")
        where = terminal.row("how are you?")
        with started(*who("bob", "alice"), stdin=subprocess.PIPE) as bob:
            assert "alice: how are you?\n" == bob.stdout.readline()
            terminal.see("✓ alice→bob: how are you?", "all settled")
            assert where == terminal.row("how are you?")
            bob.stdin.write("\x1b]0;owned\x07 fine\n")
            bob.stdin.flush()
            # The grid refuses whatever it does not know, and such a sequence above all.
            terminal.see("bob: \\x1b]0;owned\\x07 fine")
            assert where - 1 == terminal.row("how are you?")
        terminal.type("/quit\r")
        assert 0 == terminal.end()
        assert "\x1b[?1049l" in terminal.written
        assert "" == terminal.after
    with Terminal(*who("alice", "bob", "--history", "1")) as terminal:
        terminal.see("bob: \\x1b]0;owned\\x07 fine")
        assert terminal.row("how are you?") is None
        terminal.type("\x04")
        assert 0 == terminal.end()
    with Terminal(*who("alice", "bob")) as terminal:
        terminal.see("✓ alice→bob: how are you?", "bob: \\x1b]0;owned\\x07 fine")
        terminal.type("\x03")
        assert 0 == terminal.end()


def test_a_terminal_that_changes_its_size_is_drawn_anew(who):
    with Terminal(*who("alice", "bob")) as terminal:
        terminal.see("/help")
        terminal.resize(10, 60)
        os.kill(terminal.process.pid, signal.SIGWINCH)
        terminal.see("alice → bob | online | all settled | /help")
        assert 8 == terminal.row("/help")
        terminal.type("x" * 70 + "\r")
        terminal.see("✗ alice→bob:", "(unknown recipient)")
        assert terminal.row("✗") < terminal.row("(unknown") == 7
        terminal.type("/quit\r")
        assert 4 == terminal.end()


def test_a_terminal_without_such_signs_gets_ascii(who):
    with Terminal(*who("alice", "bob"), PYTHONIOENCODING="ascii") as terminal:
        terminal.see("alice -> bob | online")
        terminal.type("hi\r")
        terminal.see("x alice->bob: hi (unknown recipient)")
        terminal.type("/quit\r")
        assert 4 == terminal.end()
        assert terminal.written.isascii()


def test_without_a_store_the_screen_says_what_that_costs(address):
    with Terminal("chat", address, "--user", "alice", "--to", "bob", *PLAIN) as terminal:
        terminal.see(f"-- {chat.FORGOTTEN}", "nothing is kept (no --store) | /help")
        terminal.type("\x04")
        assert 0 == terminal.end()


def test_a_terminal_that_cannot_be_drawn_on_gets_lines(who):
    with Terminal(*who("alice", "zoe"), TERM="dumb") as terminal:
        terminal.type("hi\n\x04")
        assert 4 == terminal.end()
        assert "rejected  alice/cli→zoe#1" in terminal.written
        assert "\x1b" not in terminal.written


def test_another_login_of_the_device_ends_it_with_the_terminal_in_order(who, address):
    with Terminal(*who("alice", "bob")) as terminal:
        terminal.see("online")
        udpim("listen", address, "--user", "alice", *PLAIN, "--timeout", "0.1")
        assert 1 == terminal.end()
        assert one_line(terminal.after)
        assert "another login of this device" in terminal.after


def test_who_leaves_with_receipts_outstanding_is_told_for_how_long(tmp_path):
    users = tmp_path / "users"
    users.write_text("alice one\nbob two\n")
    with server("--memory", "--users", str(users)) as (address, _):
        login = ("--user", "alice", "--token", "one", "--to", "bob", *PLAIN)
        with Terminal("chat", address, *login, "--timeout", "0.2") as terminal:
            terminal.see("online")
            terminal.type("hi\r")
            terminal.see("1 unsettled")
            terminal.type("/quit\r")
            assert 3 == terminal.end()
    assert "waiting at most 0.2 s for what is not stored yet (1); Ctrl-C leaves\n" == terminal.after


def test_without_prompt_toolkit_a_terminal_gets_one_line_that_helps(capsys, monkeypatch):
    monkeypatch.setattr(chat, "find_spec", lambda name: None)
    monkeypatch.setenv("TERM", "xterm")
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    login = ("udpim://127.0.0.1:9", "--user", "alice", *PLAIN)
    assert 1 == main(["chat", *login, "--to", "bob"])
    err = capsys.readouterr().err
    assert one_line(err)
    assert "pip install 'udpim[cli]'" in err


def test_pipes_need_no_prompt_toolkit():
    script = "import sys, udpim.cli.chat as c; sys.exit('prompt_toolkit' in sys.modules)"
    assert 0 == subprocess.run((sys.executable, "-c", script), check=False).returncode
