"""Keys from the command line, and an encrypted exchange between commands."""

import json
import os
import signal
import stat

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


def test_a_shared_secret_is_made_and_not_shown_and_lets_in_who_has_it(tmp_path):
    file, hosts = str(tmp_path / "psk"), str(tmp_path / "known_hosts")
    done = udpim("keygen", "--psk", file)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert 0o600 == stat.S_IMODE(os.stat(file).st_mode)
    told = udpim("keygen", "--psk", "--json", f"{file}2")
    assert {"file": f"{file}2"} == json.loads(told.stdout)
    args = ("--json", "--port", "0", "--memory", "--open", "--psk", file, *SECURE)
    with started("serve", *args, stop=signal.SIGTERM) as server:
        ready = json.loads(server.stdout.readline())
        url = f"udpim://{ready['host']}:{ready['port']}"
        listen = ("listen", url, "--user", "bob", *SECURE, "--known-hosts", hosts)
        assert 0 == udpim(*listen, "--psk", file, "--timeout", "0.1").returncode
        without = udpim(*listen, "--connect-timeout", "0.5")
    assert (1, "") == (without.returncode, without.stdout)
    assert one_line(without.stderr)
