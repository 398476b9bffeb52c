"""A qlog of each client and server of a process, where the environment names a folder."""

import json
import stat

import pytest

from tests.runtime.helpers import live, login, serve
from udpim.errors import ConfigError
from udpim.hop.config import HopConfig
from udpim.runtime.qlog_files import VARIABLE, QlogFile, observed


def records(path):
    texts = path.read_text("utf-8").split("\x1e")
    assert "" == texts[0]
    return [json.loads(text) for text in texts[1:]]


def test_it_is_off_unless_the_environment_names_a_folder(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    hop = HopConfig()
    assert hop is observed(hop, "client")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    own = HopConfig(trace=lambda role, cid: None)
    assert own is observed(own, "client")
    assert [] == list(tmp_path.iterdir())


@live
async def test_each_node_has_a_file_that_only_its_owner_may_read(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "new" / "folder"))
    async with serve() as server, login(server, "alice") as alice:
        await alice.send("alice", b"nobody's business")
    files = sorted((tmp_path / "new" / "folder").iterdir())
    assert ["client", "server"] == [file.name.partition("-")[0] for file in files]
    for file in files:
        header, *events = records(file)
        assert file.name.startswith(header["trace"]["vantage_point"]["type"])
        names = {event["name"] for event in events}
        assert {"transport:packet_sent", "transport:packet_received"} <= names
        assert "nobody's business" not in file.read_text("utf-8")
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_a_folder_that_cannot_be_made_is_refused(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="cannot write the qlog"):
        observed(HopConfig(), "client")


def test_a_disk_that_takes_no_more_ends_the_log_once(tmp_path, caplog):
    file = QlogFile(str(tmp_path / "folder" / "a.sqlog"))
    file.put({})
    (tmp_path / "folder" / "a.sqlog").unlink()
    (tmp_path / "folder").rmdir()
    file.put({})
    file.put({})
    assert 1 == len(caplog.messages)
    assert "ends" in caplog.text
