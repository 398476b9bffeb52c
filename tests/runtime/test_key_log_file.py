"""A key log is off unless it is asked for, private, and no connection depends on it."""

import pytest

from udpim.crypto.key_log import ConnectionSecrets, parse_line
from udpim.errors import ConfigError
from udpim.runtime.key_log_file import VARIABLE, KeyLogFile, key_log_from_environment

SECRETS = ConnectionSecrets(
    suite=1, client_cid=b"c" * 8, server_cid=b"s" * 8, to_client=b"C" * 32, to_server=b"S" * 32
)


def test_it_is_off_unless_the_environment_names_a_file(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert key_log_from_environment() is None
    monkeypatch.setenv(VARIABLE, "")
    assert key_log_from_environment() is None
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keys"))
    assert key_log_from_environment() is not None


def test_whoever_turns_it_on_is_warned(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keys"))
    key_log_from_environment()
    assert "whoever reads" in caplog.text


def test_each_connection_is_a_line_that_only_its_owner_may_read(tmp_path):
    path = tmp_path / "keys"
    log = KeyLogFile(str(path))
    log(SECRETS)
    KeyLogFile(str(path))(SECRETS)
    assert [SECRETS, SECRETS] == [parse_line(line) for line in path.read_text().splitlines()]
    assert 0o600 == path.stat().st_mode & 0o777


def test_a_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "keys"
    path.touch()
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        KeyLogFile(str(path))
    assert path.read_text() == ""


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot write the key log"):
        KeyLogFile(str(tmp_path))


def test_a_connection_goes_on_though_it_cannot_be_noted(tmp_path, caplog):
    path = tmp_path / "keys"
    log = KeyLogFile(str(path))
    path.unlink()
    path.mkdir()
    log(SECRETS)
    assert "lacks a connection" in caplog.text
    assert SECRETS.to_client.hex() not in caplog.text
