"""How a chat log becomes messages: each rule, each refusal; and logs replayed in real processes."""

import json
import os
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.processes import udpim
from udpim.cli import replay
from udpim.cli.replay import SKIPPED_KINDS, Said, find_log, parse, read_script, recipients, split
from udpim.cli.report import TROUBLES
from udpim.cli.users_file import User, read_users
from udpim.errors import ConfigError
from udpim.runtime.settings import check_name

ROOT = Path(__file__).parents[2]
DATA = ROOT / "udpim" / "cli" / "data"


def parsed(*lines):
    return parse("\n".join(lines).encode(), "log")


def targets(*lines):
    """Who writes to whom, as ``"a>b"``, of lines like ``"a text"``."""
    script = parsed(*(f"[12:00] <{n}> {t}" for n, _, t in (line.partition(" ") for line in lines)))
    return " ".join(f"{line.sender}>{line.recipient}" for line in script.lines)


# --- Whom a line goes to ---


def test_a_line_goes_to_whoever_spoke_last_before_except_its_author():
    assert "a>b b>a b>a c>b c>b a>c" == targets("a x", "b x", "b x", "c x", "c x", "a x")


def test_a_line_before_anybody_else_has_spoken_goes_to_the_first_who_will():
    assert "a>b a>b b>a c>b" == targets("a x", "a x", "b x", "c x")


@pytest.mark.parametrize("text", ["a: hi", "a, hi", "a:", "a,b,c", "a:hi"])
def test_a_line_that_begins_with_a_nick_goes_there(text):
    assert "a>b b>a c>a" == targets("a x", "b x", f"c {text}")


@pytest.mark.parametrize(
    "text", ["hi a: you", " a: hi", "a hi", "A: hi", "a : hi", "d: hi", "aa: x"]
)
def test_a_nick_elsewhere_or_without_a_sign_or_of_nobody_is_text(text):
    assert "a>b b>a c>b" == targets("a x", "b x", f"c {text}")


def test_nobody_writes_to_themselves():
    assert "a>b b>a" == targets("a a: note to self", "b b, likewise")


def test_one_may_be_called_before_one_has_spoken():
    assert "a>c b>a c>b" == targets("a c: there?", "b x", "c x")


def test_the_longest_nick_that_fits_is_meant():
    assert "a>b b>a a:b>b c>a:b" == targets("a x", "b x", "a:b x", "c a:b: hi")


NICKS = st.sampled_from(["a", "b", "b:", "b:c", "ö,", "[^_^]"])


@given(
    st.lists(st.tuples(NICKS, NICKS | st.just("x"), st.sampled_from([": ", ", ", " "])), min_size=2)
)
def test_recipients_are_those_of_the_rules_read_slowly(lines):
    said = [Said(n, nick, f"{to}{sign}hi") for n, (nick, to, sign) in enumerate(lines, 1)]
    nicks = {each.nick for each in said}
    if len(nicks) < 2:
        return

    def slowly(at):
        _, author, text = said[at]
        called = [n for n in nicks - {author} if text.startswith((f"{n}:", f"{n},"))]
        before = [each.nick for each in said[:at] if each.nick != author]
        after = [each.nick for each in said[at:] if each.nick != author]
        return max(called, key=len) if called else (before[-1:] or after[:1])[0]

    assert [slowly(at) for at in range(len(said))] == recipients(said)


# --- What a line is ---


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("=== a is now known as b", "status"),
        ("=== a [~a@example] has joined #x", "status"),
        ("[12:00]  * a waves", "action"),
        ("[12:00] * a waves", "action"),
        ("", "blank"),
        (" \t", "blank"),
        ("\r", "blank"),
        ("hello", "malformed"),
        ("[12:00] <a>", "malformed"),
        ("[12:00] <a> ", "malformed"),
        ("[12:00] <> hi", "malformed"),
        ("[12:00] <a b> hi", "malformed"),
        ("[12:00] <#x> hi", "malformed"),
        ("[12:0", "malformed"),
        ("[1:00] <a> hi", "malformed"),
        (" [12:00] <a> hi", "malformed"),
        ("<a> hi", "malformed"),
    ],
)
def test_a_line_that_is_no_message_is_counted_and_skipped(line, kind):
    script = parsed("[12:00] <x> 1", line, "[12:00] <y> 2")
    assert [b"1", b"2"] == [each.payload for each in script.lines]
    assert {kind: 1} == {k: n for k, n in script.facts["skipped"].items() if n}
    assert (2, 1) == (script.facts["message_lines"], script.facts["skipped_lines"])


@pytest.mark.parametrize(
    "text", [" two  blanks ", "<b> no", "a\u2028b\x0bc\x85", "é", "\u200fשם", "\t"]
)
def test_the_payload_is_the_text_as_it_stands(text):
    script = parsed(f"[12:00] <a> {text}", "[12:00] <b> x")
    assert text == script.lines[0].payload.decode()
    assert 0 == script.facts["skipped_lines"]


def test_windows_line_ends_and_a_byte_order_mark_are_no_text():
    script = parse("\ufeff[12:00] <a> x\r\n[12:00] <b> y\r\n".encode(), "log")
    assert [b"x", b"y"] == [line.payload for line in script.lines]


def test_the_facts_count_everything():
    script = parsed("[12:00] <a> x", "", "[12:01] <b> a: x", "[12:01] <c> a: x", "=== d joins")
    assert {
        "file": "log",
        "nicks": 3,
        "pairs": 3,
        "message_lines": 3,
        "skipped_lines": 2,
        "skipped": {"status": 1, "action": 0, "blank": 1, "malformed": 0},
    } == script.facts
    assert ["a", "b", "c"] == script.cast


@given(st.text(st.sampled_from("[12:0] <>*=a#\n\r \u2028")) | st.text())
def test_every_line_of_any_text_is_a_message_or_counted(text):
    said, skipped = split(text)
    assert (
        text.count("\n") + (not text.endswith("\n") and text != "") == len(said) + skipped.total()
    )
    assert set(skipped) <= set(SKIPPED_KINDS)


@given(nick=st.text(min_size=1, max_size=8), text=st.text(min_size=1))
def test_whatever_nick_is_taken_can_be_a_user(tmp_path_factory, nick, text):
    said, _ = split(f"[12:00] <{nick}> {text}")
    if not said:
        return
    path = tmp_path_factory.getbasetemp() / "users"
    path.write_text(f"{said[0].nick} token\n", "utf-8")
    assert {nick: User("token")} == read_users(str(path))
    assert nick == check_name("user", nick)


# --- What is refused ---

HI = "[12:00] <a> hi\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ": none of its 0 lines is a message"),
        (b"=== a joins\n\nhello\n", ": none of its 3 lines is a message"),
        (HI.encode() * 2, ": nobody speaks but a, and a chat needs two"),
        (HI.encode() + b"[12:00] <b> \xff\n", ", line 2: it is not UTF-8 text"),
        (HI.encode() + b"[12:00] <b> \xed\xa0\x80\n", ", line 2: it is not UTF-8 text"),
        (f"{HI}\n[12:00] <{'é' * 17}> hi\n".encode(), ", line 3, its nick: 34 bytes of UTF-8 are"),
        (f"{HI}[12:00] <b> {'x' * 1_048_577}".encode(), ", line 2, its text: 1048577 bytes"),
    ],
    ids=["empty", "no message", "one speaker", "bytes", "surrogate", "long nick", "long text"],
)
def test_what_is_no_conversation_is_refused_in_a_line(tmp_path, content, words):
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_script(str(path))
    assert str(caught.value).startswith(f"--replay {path}{words}")


def test_too_many_messages_are_refused(monkeypatch):
    monkeypatch.setattr(replay, "MESSAGES_MAX", 2)
    with pytest.raises(ConfigError, match="3 messages are over the limit of 2"):
        parsed("[12:00] <a> x", "[12:00] <b> x", "[12:00] <a> x")


def test_a_nick_of_32_bytes_is_a_user_and_can_be_called():
    nick = "é" * 16
    assert f"a>b b>a {nick}>b b>{nick}" == targets("a x", "b x", f"{nick} x", f"b {nick}, hi")


# --- Where a log is looked for ---


def test_a_log_is_looked_for_as_named_then_in_the_folder_then_among_the_shipped(
    tmp_path, monkeypatch
):
    here, folder = tmp_path / "here", tmp_path / "folder"
    here.mkdir()
    folder.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("UDPIM_DATA", str(folder))
    assert ((DATA / "garden.txt").read_bytes(), str(DATA / "garden.txt")) == find_log("garden.txt")
    (folder / "garden.txt").write_bytes(b"folder")
    assert (b"folder", str(folder / "garden.txt")) == find_log("garden.txt")
    (here / "garden.txt").write_bytes(b"here")
    assert (b"here", "garden.txt") == find_log("garden.txt")
    monkeypatch.delenv("UDPIM_DATA")
    (here / "garden.txt").unlink()
    assert str(DATA / "garden.txt") == find_log("garden.txt")[1]


def test_a_log_that_is_nowhere_is_refused_and_the_shipped_ones_are_named():
    with pytest.raises(ConfigError, match=r"no\.txt: no such file.*garden\.txt"):
        find_log("no.txt")


def test_a_log_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="directory"):
        find_log(str(tmp_path))


# --- The shipped log ---


def test_the_shipped_log_has_what_a_chat_may_bring():
    script = read_script("garden.txt")
    text = (DATA / "garden.txt").read_text("utf-8")
    assert 302 == len(script.lines) == len({line.payload for line in script.lines})
    assert all(script.facts["skipped"].values())
    assert set("üŁ\u0301λДسנमக林우ป🌻[`") <= set("".join(script.cast))
    assert set("👩\u200d\u200c\u0301\u212bはგԾሰễ°") <= set(text)


def test_whatever_lies_beside_it_is_packaged():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["udpim.cli"]
    for path in DATA.iterdir():
        assert any(fnmatch(f"data/{path.name}", pattern) for pattern in patterns)


# --- The whole demo, with a log ---

LOG = """\
=== Mürz [~m@example] has joined #x
[10:00] <Mürz> good morning
[10:00] <[^_^]> Mürz: morning, did the parcel come?
[10:01] <Mürz> not yet
[10:01]  * Mürz looks out of the window

[10:02] <大家好> Mürz, 还没有
[10:02] <[^_^]> 大家好: ok
[10:03] <علي> [^_^]: مرحبا
not a line of chat
"""


def test_a_chat_log_is_replayed_by_a_client_for_each_nick(tmp_path, seed):
    path = tmp_path / "log"
    path.write_text(LOG * 6, "utf-8")
    done = udpim("demo", "--replay", str(path), "--seed", str(seed), "--loss", "30%", "--json")
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    assert (36, 36) == (report["total"]["sent"], report["total"]["delivered"])
    assert [] == [key for key in TROUBLES if report["total"][key]]
    counts = {"nicks": 4, "pairs": 6, "message_lines": 36, "skipped_lines": 24}
    assert counts == {key: report["replay"][key] for key in counts}
    assert {6} == set(report["replay"]["skipped"].values())
    assert 6 == len(report["directions"])
    # The first greeting goes to who speaks next, the later ones to who spoke last.
    assert 7 == report["directions"]["Mürz → [^_^]"]["delivered"]
    assert 5 == report["directions"]["Mürz → علي"]["delivered"]
    assert 0 < report["killed_at"] < 36


def test_the_shipped_log_is_found_by_its_name_and_survives(seed):
    bad = ("--loss", "0.1", "--delay", "2", "--seed", str(seed))
    done = udpim("demo", "--replay", "garden.txt", *bad)
    assert 0 == done.returncode, done.stderr
    assert "302 messages of 33 nicks" in done.stdout
    assert "33 other lines skipped (24 status, 5 action, 3 blank, 1 malformed)" in done.stdout


def test_a_real_chat_log_is_replayed_by_everybody_in_it(irc_dir, seed, tmp_path):
    lines = sorted(irc_dir.glob("*.txt"))[0].read_bytes().splitlines(keepends=True)
    (tmp_path / "hour.txt").write_bytes(b"".join(lines[:100]))
    done = udpim(
        "demo", "--replay", "hour.txt", "--seed", str(seed), "--json", "--loss", "0.3",
        env=os.environ | {"UDPIM_DATA": str(tmp_path)},
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    found = report["replay"]
    assert found["message_lines"] == report["total"]["delivered"] > 80
    assert 100 == found["message_lines"] + found["skipped_lines"]
    assert found["nicks"] > 10


# --- As one group ---


def test_in_a_group_nobody_is_addressed_and_everybody_else_gets_each_line():
    log = "\n".join(f"[12:00] <{nick}> {text}" for nick, text in ("ax", "bx", "cx", "ay"))
    script = parse(log.encode(), "log", replay.GROUP)
    assert {replay.GROUP} == {line.recipient for line in script.lines}
    assert ["a", "b", "c"] == script.cast
    assert ["a", "c"] == script.recipients("b", replay.GROUP)
    assert 6 == script.facts["pairs"]


def test_a_group_loses_doubles_and_misorders_nothing_though_the_server_is_killed(tmp_path, seed):
    path = tmp_path / "log"
    path.write_text(LOG * 6, "utf-8")
    bad = ("--seed", str(seed), "--loss", "30%", "--delay", "2")
    done = udpim("demo", "--replay", str(path), "--group", *bad, "--json")
    assert 0 == done.returncode, done.stderr
    assert ["4", "server", "server"] == [line.split()[0] for line in done.stderr.splitlines()]
    report = json.loads(done.stdout)
    total = report["total"]
    assert (36, 108, 108) == (report["messages"], total["sent"], total["delivered"])
    assert [] == [key for key in TROUBLES if total[key]]
    names = {f"{nick} → #replay" for nick in ("Mürz", "[^_^]", "大家好", "علي")}
    assert names == set(report["directions"])
    assert 36 == report["directions"]["Mürz → #replay"]["delivered"]
    assert 0 < report["killed_at"] < 108
    packets = report["im_packets"]
    assert packets["tally"]["sent"] / 36 == pytest.approx(
        report["receipt_packets_per_message"], abs=1e-3
    )
    assert {"members", "group:R", "group:A"} <= packets.keys()
    assert "ack:N" not in packets, "a group's receipts come collected"


def test_four_packets_do_without_msg_a_and_ack_a(tmp_path, seed):
    path = tmp_path / "log"
    path.write_text(LOG * 3, "utf-8")
    bad = ("--seed", str(seed), "--delay", "2", "--exchange", "four")
    done = udpim("demo", "--replay", str(path), "--group", *bad, "--json")
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    assert 54 == report["total"]["delivered"]
    assert report["options"]["group"]
    assert "four" == report["options"]["exchange"]
    assert set() == {"msg:A", "ack:A"} & report["im_packets"].keys()


def test_a_real_channel_is_replayed_as_one_group(irc_dir, seed, tmp_path):
    lines = sorted(irc_dir.glob("*.txt"))[0].read_bytes().splitlines(keepends=True)
    (tmp_path / "hour.txt").write_bytes(b"".join(lines[:60]))
    done = udpim(
        "demo", "--replay", "hour.txt", "--group", "--seed", str(seed), "--loss", "0.3",
        env=os.environ | {"UDPIM_DATA": str(tmp_path)},
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    assert "messages to a group" in done.stdout
