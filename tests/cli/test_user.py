"""``user add``, ``list`` and ``remove``, as a shell would call them."""

import base64
import io
import json
import sys

import pytest

from tests.cli.processes import one_line
from udpim.cli import main
from udpim.cli.users_file import User, hashed, list_users, matches

KEY, OTHER = (base64.b64encode(bytes([byte]) * 32).decode() for byte in (1, 2))
TOKEN = "brought from elsewhere, drawn"


@pytest.fixture
def users(tmp_path):
    return str(tmp_path / "users")


@pytest.fixture
def user(capsys, users):
    def run(action, *more):
        code = main(["user", action, "--users", users, *more])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def stdin(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_the_token_is_printed_once_and_fits(user, users):
    code, out, err = user("add", "alice")
    assert (0, "") == (code, err)
    assert matches(list_users(users)["alice"].secret, hashed(out.removesuffix("\n")))


def test_a_machine_reads_name_and_token(user, users):
    _, out, _ = user("add", "alice", "--json")
    made = json.loads(out)
    assert ["name", "token"] == list(made)
    assert matches(list_users(users)["alice"].secret, hashed(made["token"]))
    assert (0, '{"name": "alice", "hashed": true, "keys": []}\n', "") == user("list", "--json")
    assert 0 == user("add", "bob")[0]
    assert (0, '{"name": "alice"}\n', "") == user("remove", "alice", "--json")
    assert (0, "", "") == user("remove", "bob")
    assert (0, "", "") == user("list", "--json")


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_token_from_standard_input_is_not_shown(user, users, monkeypatch, end):
    stdin(monkeypatch, TOKEN.encode() + end)
    assert (0, "", "") == user("add", "alice", "--token-stdin")
    assert {"alice": User(hashed(TOKEN))} == list_users(users)
    stdin(monkeypatch, TOKEN.encode() + end)
    assert (0, '{"name": "bob"}\n', "") == user("add", "bob", "--token-stdin", "--json")


def test_a_key_goes_with_the_token_or_in_its_place(user, users):
    _, out, _ = user("add", "alice", "--key", KEY)
    assert User(hashed(out.strip()), (KEY,)) == list_users(users)["alice"]
    assert (0, "", "") == user("add", "bob", "--no-token", "--key", KEY, "--key", OTHER)
    assert (None, 2) == (list_users(users)["bob"].secret, len(list_users(users)["bob"].keys))
    told = json.loads(user("list", "--json")[1].splitlines()[1])
    assert ("bob", None, 2) == (told["name"], told["hashed"], len(told["keys"]))


def test_neither_token_nor_key_is_one_line_and_exit_1(user):
    code, out, err = user("add", "alice", "--no-token")
    assert (1, "") == (code, out)
    assert one_line(err)
    assert "there must be a key" in err


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not 0 lines"),
        (TOKEN.encode() + b"\nmore\n", "not 2 lines"),
        (b"short\n", "5 characters"),
        (b"\xff" * 30, "not UTF-8"),
        (b"x" * 5000, "the limit is 1024"),
    ],
)
def test_what_is_no_token_adds_nobody(user, tmp_path, monkeypatch, data, words):
    stdin(monkeypatch, data)
    code, out, err = user("add", "alice", "--token-stdin")
    assert (1, "") == (code, out)
    assert one_line(err)
    assert words in err
    assert [] == list(tmp_path.iterdir())


def test_names_are_listed_in_the_order_of_the_file(user, tmp_path):
    (tmp_path / "users").write_text("# people\nzoe x\n# more\nalice y\n")
    assert (0, "zoe\nalice\n", "") == user("list")
    assert '{"name": "zoe", "hashed": false, "keys": []}' in user("list", "--json")[1]


def test_a_name_that_is_there_and_one_that_is_not_are_one_line_and_exit_1(user):
    user("add", "alice")
    for action, name, words in (("add", "alice", "exists already"), ("remove", "bob", "no user")):
        code, out, err = user(action, name)
        assert (1, "") == (code, out)
        assert one_line(err)
        assert words in err


@pytest.mark.parametrize(
    "args", [[], ["add", "alice"], ["add", "--users", "u"], ["list", "--users", "u", "x"], ["fly"]]
)
def test_wrong_usage_is_exit_2(capsys, args):
    assert 2 == main(["user", *args])
    assert one_line(capsys.readouterr().err)


@pytest.mark.parametrize("action", ["add", "list", "remove"])
def test_each_action_has_help(capsys, action):
    assert 0 == main(["user", action, "--help"])
    assert "--users FILE" in capsys.readouterr().out
