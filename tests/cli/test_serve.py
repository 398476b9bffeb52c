"""The users file, and a server that says where it is and goes when asked."""

import json
import signal

import pytest

from tests.cli.processes import PLAIN, server, started, udpim
from udpim.cli.serve import read_users
from udpim.errors import ConfigError


def write(tmp_path, text):
    path = tmp_path / "users"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def test_names_and_tokens_are_read(tmp_path):
    text = "# people\nalice secret\n\n  bob\tgeheim#1  \r\nçelik x\n"
    found = read_users(write(tmp_path, text))
    assert {"alice": "secret", "bob": "geheim#1", "çelik": "x"} == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("alice secret\nbob\n", "line 2: expected a name and a token, found 1 words"),
        ("alice se cret\n", "line 1: expected a name and a token, found 3 words"),
        ("a x\n# c\n\na y\n", "line 4: a was named before"),
        ("é" * 17 + " x\n", "line 1: the name is over 32 bytes"),
        ("# nobody\n", "names nobody"),
        (b"\xff\xfe x\n", "not UTF-8"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        read_users(write(tmp_path, text))


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
