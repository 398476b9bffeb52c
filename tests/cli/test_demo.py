"""The whole demo in small: real processes, real sockets, a server killed, and the audit."""

import json

import pytest

from tests.cli.processes import udpim
from udpim.cli import demo, main

SMALL = ("demo", "--messages", "60", "--delay", "2", "--timeout", "100")
KEYS = ("lost", "duplicated", "altered", "out_of_order", "false_receipts", "unsettled")


def test_nothing_is_lost_doubled_or_misordered_though_the_server_is_killed(seed):
    done = udpim(*SMALL, "--seed", str(seed), "--json")
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    assert (True, []) == (report["ok"], report["problems"])
    assert "require" == report["security"]
    total = report["total"]
    assert (120, 120) == (total["sent"], total["delivered"])
    assert [0] * len(KEYS) == [total[key] for key in KEYS]
    assert 2 == len(set(report["server_pids"]))
    assert 0 < report["killed_at"] < 120
    for lane in report["relay"].values():
        assert lane["dropped"] > 0
        left = lane["dropped"] + lane["sent"] + lane["overflowed"]
        # What was under way when the relay was closed has not left.
        assert left <= lane["received"] + lane["duplicated"]
    assert report["im_packets"]["msg:R"]["resent"] > 0
    assert total["delivery_ms"]["p50"] <= total["delivery_ms"]["p99"]
    assert ["server", "server"] == [line.split()[0] for line in done.stderr.splitlines()]


def test_lines_of_a_file_are_sent_as_they_are(tmp_path, seed):
    path = tmp_path / "chat.txt"
    path.write_bytes(
        "[12:00] <a> hi\n[12:00] <b> hi\r\n\n=== ü\n\xff\n".encode() + b"\xfe\xff\nhi\n" * 9
    )
    done = udpim("demo", "--lines", str(path), "--seed", str(seed), "--delay", "1", "--loss", "30%")
    assert 0 == done.returncode, done.stderr
    assert "passed in" in done.stdout
    assert "delivered" in done.stdout


def test_a_real_chat_log_survives(irc_dir, seed, tmp_path):
    lines = sorted(irc_dir.glob("*.txt"))[0].read_bytes().splitlines(keepends=True)
    path = tmp_path / "log"
    path.write_bytes(b"".join(lines[:200]))
    done = udpim("demo", "--lines", str(path), "--seed", str(seed), "--json", "--loss", "0.3")
    assert 0 == done.returncode, done.stderr
    assert 400 == json.loads(done.stdout)["total"]["delivered"]


def test_a_run_that_is_cut_off_says_so_and_fails():
    done = udpim("demo", "--messages", "5000", "--delay", "200", "--timeout", "3", "--json")
    assert 1 == done.returncode
    report = json.loads(done.stdout)
    assert not report["ok"]
    assert "not finished within 3 s" in report["problems"]
    assert 1 == sum(line.startswith("udpim: demo failed") for line in done.stderr.splitlines())


def test_in_plaintext_it_passes_as_well_for_whoever_asks_for_it():
    done = udpim(*SMALL, "--security", "plain")
    assert 0 == done.returncode, done.stderr
    assert "(plaintext)" in done.stdout


def test_without_faults_it_passes_too():
    done = udpim(*SMALL, "--loss", "0", "--duplicate", "0", "--reorder", "0", "--json")
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    assert 0 == report["relay"]["up"]["dropped"] + report["relay"]["down"]["dropped"]


@pytest.mark.parametrize(
    ("mangle", "words"),
    [
        (lambda rows: rows[1:], "1 lost; 1 with a false receipt"),
        (lambda rows: [*rows, rows[0]], "1 duplicated"),
        (lambda rows: [*rows, b"never sent"], "1 altered"),
    ],
)
def test_an_inbox_that_was_tampered_with_is_found_out(monkeypatch, capsys, mangle, words):
    real = demo.read_inbox

    def read_inbox(path):
        inbox = real(path)
        return {name: mangle(r) if name == "alice" else r for name, r in inbox.items()}

    monkeypatch.setattr(demo, "read_inbox", read_inbox)
    assert 1 == main([*SMALL[:1], "--messages", "10", "--delay", "1", "--loss", "0"])
    assert f"udpim: demo failed: {words}\n" in capsys.readouterr().err


def test_a_message_in_the_wrong_inbox_is_found_out(monkeypatch, capsys):
    real = demo.read_inbox
    monkeypatch.setattr(demo, "read_inbox", lambda path: real(path) | {"mallory": [b"psst"]})
    assert 1 == main([*SMALL[:1], "--messages", "10", "--delay", "1", "--loss", "0"])
    assert "udpim: demo failed: 2 altered\n" in capsys.readouterr().err


def test_a_message_that_one_member_of_a_group_lost_is_named_with_who_lacks_it(
    monkeypatch, capsys, tmp_path
):
    path = tmp_path / "log"
    path.write_text("".join(f"[12:00] <{nick}> {n}\n" for n in range(9) for nick in "abc"))
    real = demo.read_inbox

    def read_inbox(path):
        inbox = real(path)
        return inbox | {"a": inbox["a"][1:]} if {"a", "c"} == set(inbox) else inbox

    monkeypatch.setattr(demo, "read_inbox", read_inbox)
    calm = ("--delay", "1", "--loss", "0")
    assert 1 == main(["demo", "--replay", str(path), "--group", *calm])
    out, err = capsys.readouterr()
    assert "udpim: demo failed: 1 lost; 1 with a false receipt\n" in err
    assert "a → b: 1 lost, 1 with a false receipt" in out


def test_a_group_needs_a_log(capsys):
    assert 2 == main(["demo", "--group"])
    assert "--group wants a log" in capsys.readouterr().err
