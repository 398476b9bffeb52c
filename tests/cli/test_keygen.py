"""Keys from the command line, and an encrypted exchange between commands."""

import json
import signal

from tests.cli.processes import one_line, started, udpim

SECURE = ("--security", "require")


def test_it_prints_the_public_key_and_keeps_the_private_one(tmp_path):
    file = tmp_path / "server.key"
    done = udpim("keygen", str(file))
    assert (0, "") == (done.returncode, done.stderr)
    assert 44 == len(done.stdout.strip())
    assert done.stdout.strip() != file.read_text().strip()
    again = udpim("keygen", str(file))
    assert (1, "") == (again.returncode, again.stdout)
    assert one_line(again.stderr)


def test_a_machine_gets_json(tmp_path):
    file = tmp_path / "server.key"
    told = json.loads(udpim("keygen", str(file), "--json").stdout)
    assert ({"file", "key"}, str(file)) == (told.keys(), told["file"])


def test_commands_talk_encrypted(tmp_path):
    file, hosts = str(tmp_path / "server.key"), str(tmp_path / "known_hosts")
    public = udpim("keygen", file).stdout.strip()
    args = ("--json", "--port", "0", "--memory", "--open", "--key", file, *SECURE)
    with started("serve", *args, stop=signal.SIGTERM) as server:
        ready = json.loads(server.stdout.readline())
        assert public == ready["key"]
        url = f"udpim://{ready['host']}:{ready['port']}"
        listen = ("listen", url, "--user", "bob", *SECURE, "--known-hosts", hosts)
        assert 0 == udpim(*listen, "--timeout", "0.1").returncode
        with started(*listen, "--count", "1", "--json") as bob:
            sent = udpim(
                *("send", url, "--user", "alice", "--to", "bob", *SECURE, "--server-key", public),
                *("--wait", "delivered", "hi"),
            )
            assert 0 == sent.returncode, sent.stderr
            assert "hi" in bob.communicate(timeout=30)[0]
    assert public in (tmp_path / "known_hosts").read_text()
