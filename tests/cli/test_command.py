"""Wrong inputs get one clear line and a non-zero exit; the rest of the argument parsing."""

import socket
import subprocess
import sys

import pytest

from tests.cli.processes import PLAIN, UDPIM, one_line
from udpim import __version__
from udpim.cli import command, main
from udpim.store.sqlite import SQLiteStore

COMMANDS = ("demo", "serve", "user", "send", "listen", "chat", "decode")


def complaint(capsys, *args):
    """Run a command that must fail: its exit code and its one line."""
    code = main(args)
    out, err = capsys.readouterr()
    assert "" == out
    assert one_line(err), err
    return code, err


def login(address="udpim://127.0.0.1:9", *more):
    return address, "--user", "alice", *PLAIN, *more


def test_the_version_is_printed(capsys):
    assert 0 == main(["--version"])
    assert f"udpim {__version__}\n" == capsys.readouterr().out


def test_help_names_every_command_and_the_exit_codes(capsys):
    assert 0 == main(["--help"])
    out = " ".join(capsys.readouterr().out.split())
    for word in (
        "demo",
        "serve",
        "user",
        "send",
        "listen",
        "decode",
        "exit codes: 0",
        "130 interrupted",
    ):
        assert word in out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(capsys, name):
    assert 0 == main([name, "--help"])
    assert "exit codes" in capsys.readouterr().out


def test_the_module_is_the_command():
    done = subprocess.run((*UDPIM, "--version"), capture_output=True, text=True, check=True)
    assert f"udpim {__version__}\n" == done.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "required: COMMAND"),
        (("fly",), "invalid choice"),
        (("serve", "--port", "70000", "--memory", "--open"), "'70000' is not a port"),
        (("serve", "--port", "-1", "--memory", "--open"), "not a port"),
        (("serve", *PLAIN, "--open"), "--store --memory is required"),
        (("serve", *PLAIN, "--memory"), "--users --open is required"),
        (("serve", "--memory", "--open", "--security", "noise"), "invalid choice"),
        (("demo", "--security", "none"), "invalid choice"),
        (("send", *login(), "hi"), "--to"),
        (("listen", *login(), "--count", "0"), "'0' is not a whole number"),
        (("listen", *login(), "--timeout", "-1"), "number of seconds"),
        (("chat", *login()), "--to"),
        (("chat", *login(), "--to", "b", "--history", "-1"), "whole number from 0 on"),
        (("chat", *login(), "--to", "b", "--history", "x"), "whole number from 0 on"),
        (("demo", "--loss", "1"), "probability"),
        (("demo", "--loss", "150%"), "percentage"),
        (("demo", "--loss", "much"), "probability"),
        (("demo", "--messages", "5", "--lines", "x"), "not allowed with"),
        (("demo", "--replay", "x", "--lines", "x"), "not allowed with"),
        (("demo", "--delay", "-3"), "delay"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(capsys, args, words):
    code, err = complaint(capsys, *args)
    assert 2 == code
    assert words in err


def test_a_percentage_is_a_probability():
    assert 0.3 == command.make_parser().parse_args(["demo", "--loss", "30%"]).loss


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("send", *login("udpim://127.0.0.1:70000"), "--to", "bob", "hi"), "out of range"),
        (("listen", *login("udpim://no-such-host.invalid:9000")), "no-such-host.invalid"),
        (("send", *login("http://x"), "--to", "bob", "hi"), "udpim://host:port"),
        (("send", *login("udpim://127.0.0.1:9", "--connect-timeout", "0.2"), "--to", "b", "hi"),
         "no answer from 127.0.0.1:9 within 0.2 s"),
        (("send", *login(), "--to", "bob", "x" * 1_048_577), "1048577 bytes is over the limit"),
        (("decode", "hello"), "not hexadecimal"),
        (("demo", "--size", "1048577"), "over the limit of 1048576"),
        (("demo", "--size", "5"), "16 bytes at least"),
        (("demo", "--messages", "100001"), "at most 100000"),
        (("demo", "--lines", "/nowhere/x"), "/nowhere/x: No such file"),
        (("demo", "--replay", "/nowhere/x"), "/nowhere/x: no such file"),
        (("serve", *PLAIN, "--memory", "--users", "/nowhere/u"), "/nowhere/u: No such file"),
        (("serve", *PLAIN, "--store", "/nowhere/s.db", "--open"), "there is no folder"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_and_exit_1(capsys, args, words):
    code, err = complaint(capsys, *args)
    assert 1 == code
    assert words in err


def test_a_port_in_use_is_said(capsys):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        code, err = complaint(capsys, "serve", *PLAIN, "--port", port, "--memory", "--open")
    assert 1 == code
    assert port in err
    assert "in use" in err


@pytest.mark.parametrize("name", ["serve", "send", "listen", "chat"])
@pytest.mark.parametrize("content", [b"hello, I am a text file, and rather a long one" * 99, None])
def test_a_store_that_is_not_one_is_refused_and_left_alone(capsys, tmp_path, name, content):
    path = tmp_path / "x.db"
    if content is None:  # of the other kind
        SQLiteStore(str(path), kind="client" if name == "serve" else "server").close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    arguments = {
        "serve": ("--open", "--port", "0", *PLAIN),
        "send": (*login(), "--to", "bob", "hi"),
        "listen": login(),
        "chat": (*login(), "--to", "bob"),
    }[name]
    code, err = complaint(capsys, name, "--store", str(path), *arguments)
    assert 1 == code
    assert str(path) in err
    assert before == path.read_bytes()


def test_a_bug_is_one_line_unless_asked_for_more(capsys, monkeypatch):
    def broken(text):
        raise RuntimeError("oh\nno")

    monkeypatch.setattr("udpim.cli.decode.parse_hex", broken)
    code, err = complaint(capsys, "decode", "00")
    assert 1 == code
    assert "a bug: RuntimeError: oh no; UDPIM_DEBUG=1" in err
    monkeypatch.setenv("UDPIM_DEBUG", "1")
    with pytest.raises(RuntimeError, match="oh"):
        main(["decode", "00"])


def test_ctrl_c_is_exit_130(capsys, monkeypatch):
    def interrupted(text):
        raise KeyboardInterrupt

    monkeypatch.setattr("udpim.cli.decode.parse_hex", interrupted)
    code, err = complaint(capsys, "decode", "00")
    assert 130 == code
    assert "interrupted" in err


def test_a_reader_that_leaves_is_no_traceback():
    script = f"{sys.executable} -m udpim decode - --json | true; echo ${{PIPESTATUS[0]}}"
    line = "99" + "00" * 24 + "\n"
    done = subprocess.run(
        ["bash", "-c", script], input=line * 20000, capture_output=True, text=True, check=False
    )
    assert "" == done.stderr
