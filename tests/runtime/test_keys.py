"""Keys as people handle them, and the servers that were met before."""

import stat

import pytest

from udpim.errors import ConfigError, HandshakeFailed, ServerKeyChanged
from udpim.runtime import keys
from udpim.runtime.keys import KnownHosts, default_known_hosts

KEY, OTHER = b"\x01" * 32, b"\x02" * 32


def test_a_key_is_text_and_back():
    text = keys.format_key(KEY)
    assert (44, KEY) == (len(text), keys.parse_key("server_key", f" {text}\n"))


@pytest.mark.parametrize("text", ["", "abc", "é" * 44, "A" * 44, "*" * 44, "secret but no key"])
def test_what_is_no_key_is_refused_and_not_repeated(text):
    with pytest.raises(
        ConfigError, match="server_key is no key: it must be 32 bytes in base64"
    ) as e:
        keys.parse_key("server_key", text)
    assert not text or text not in str(e.value)


def test_a_private_key_goes_into_a_file_of_one_user_and_comes_back(tmp_path):
    file = tmp_path / "server.key"
    made = keys.write_key_pair(file)
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert made.public == keys.read_key_pair(file).public
    with pytest.raises(ConfigError, match=r"cannot make .*File exists"):
        keys.write_key_pair(file)


def test_a_private_key_that_others_may_read_is_refused(tmp_path):
    file = tmp_path / "server.key"
    keys.write_key_pair(file)
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read the private key"):
        keys.read_key_pair(file)


@pytest.mark.parametrize("content", [None, b"no key", b"\xff"])
def test_a_file_without_a_key_is_named(tmp_path, content):
    file = tmp_path / "server.key"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    with pytest.raises(ConfigError, match=r"server\.key"):
        keys.read_key_pair(file)


def test_the_first_key_of_a_server_is_noted_and_another_one_refused(tmp_path):
    path = tmp_path / "config" / "known_hosts"
    hosts = KnownHosts(path)
    assert hosts.find("chat:9000") is None
    hosts.check("chat:9000", KEY)
    hosts.check("chat:9001", OTHER)
    again = KnownHosts(path)
    again.check("chat:9000", KEY)
    assert (KEY, OTHER, None) == tuple(map(again.find, ("chat:9000", "chat:9001", "chat:900")))
    with pytest.raises(ServerKeyChanged) as caught:
        again.check("chat:9000", OTHER)
    assert ("chat:9000", str(path)) == (caught.value.address, caught.value.path)
    assert isinstance(caught.value, HandshakeFailed)
    assert "chat:9000 shows another key than the one in" in str(caught.value)
    assert 2 == len(path.read_text().splitlines())
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_comments_and_empty_lines_are_passed_over(tmp_path):
    path = tmp_path / "known_hosts"
    path.write_text(f"# mine\n\nchat:9000 {keys.format_key(KEY)}\n")
    assert KEY == KnownHosts(path).find("chat:9000")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"chat:9000 abc\n", "line 1 of .* is no key"),
        (b"\xff", "cannot read .*: it is no text"),
        (b"#" * (keys.KNOWN_HOSTS_BYTES_MAX + 1), "is too large for a list of known servers"),
    ],
)
def test_a_list_that_cannot_be_read_is_no_reason_to_trust_anybody(tmp_path, content, words):
    path = tmp_path / "known_hosts"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        KnownHosts(path).check("chat:9000", KEY)


def test_a_list_that_cannot_be_written_is_no_reason_to_trust_anybody(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        KnownHosts(tmp_path).check("chat:9000", KEY)
    nowhere = tmp_path / "nowhere"
    nowhere.symlink_to(tmp_path / "missing")
    with pytest.raises(ConfigError, match="cannot write"):
        KnownHosts(nowhere / "known_hosts").check("chat:9000", KEY)


def test_the_list_of_a_user_is_where_their_settings_are(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert tmp_path / "udpim" / "known_hosts" == default_known_hosts()
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert "/home/somebody/.config/udpim/known_hosts" == str(default_known_hosts())


def test_a_user_without_a_home_has_to_say_where_it_is(monkeypatch):
    def homeless():
        raise RuntimeError

    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(keys.Path, "home", homeless)
    with pytest.raises(ConfigError, match="this user has no home"):
        default_known_hosts()
