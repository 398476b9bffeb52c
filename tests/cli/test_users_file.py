"""The users file: what a line may be, changes that nobody sees half, and a server's view of it."""

import base64
import fcntl
import os
import stat
import threading

import pytest

from udpim import Admitted
from udpim.cli import users_file
from udpim.cli.users_file import (
    NOBODY,
    LiveUsers,
    User,
    add_user,
    check_foreign_token,
    draw_token,
    hashed,
    list_users,
    matches,
    read_users,
    remove_user,
)
from udpim.errors import ConfigError

KEY, OTHER = (base64.b64encode(bytes([byte]) * 32).decode() for byte in (1, 2))


def write(tmp_path, text):
    path = tmp_path / "users"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


# --- Reading ---


def test_names_and_tokens_are_read(tmp_path):
    text = "# people\nalice secret\n\n  bob\tgeheim#1  \r\nçelik x\n"
    found = read_users(write(tmp_path, text))
    assert {"alice": User("secret"), "bob": User("geheim#1"), "çelik": User("x")} == found


def test_keys_stand_beside_a_token_or_alone(tmp_path):
    text = f"alice key:{KEY}\nbob geheim key:{KEY} key:{OTHER}\ncarol key:{OTHER} geheim\n"
    assert {
        "alice": User(None, (KEY,)),
        "bob": User("geheim", (KEY, OTHER)),
        "carol": User("geheim", (OTHER,)),
    } == read_users(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("alice secret\nbob\n", "line 2: expected a token, key:… or both .* found nothing"),
        ("alice se cret\n", "line 1: expected a token, key:… or both .* found 2 tokens"),
        (f"a se cret key:{KEY}\n", "line 1: expected a token, key:… or both .* found 2 tokens"),
        ("a x\nb key:short\n", "line 2: what follows key: is no key"),
        ("a key:\n", "line 1: what follows key: is no key"),
        ("a x\n# c\n\na y\n", "line 4: a was named before"),
        ("é" * 17 + " x\n", "line 1: the name is over 32 bytes"),
        ("a sha256:12\n", "line 1: after sha256: come 64 hexadecimal digits"),
        (b"\xff\xfe x\n", "not UTF-8"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, text, words):
    path = write(tmp_path, text)
    for read in (read_users, list_users):
        with pytest.raises(ConfigError, match=words):
            read(path)


def test_a_list_may_be_empty_but_no_server_starts_with_it(tmp_path):
    path = write(tmp_path, "# nobody\n")
    assert {} == list_users(path)
    with pytest.raises(ConfigError, match="names nobody"):
        read_users(path)


# --- Secrets ---


@pytest.mark.parametrize("secret", ["geheim", hashed("geheim")])
def test_a_token_fits_its_plain_and_its_hashed_secret(secret):
    assert matches(secret, hashed("geheim"))
    assert not matches(secret, hashed("geheim "))
    assert not matches(secret, hashed(""))


def test_a_digest_is_no_token():
    assert not matches(hashed("geheim"), hashed(hashed("geheim")))


TOKEN_AND_KEY, TOKEN_ONLY, KEY_ONLY = ("geheim", KEY), ("geheim", None), ("", KEY)
OTHER_TOO, OTHER_ONLY, NEITHER = ("geheim", OTHER), ("", OTHER), ("", None)
PROOFS = {TOKEN_AND_KEY, TOKEN_ONLY, KEY_ONLY, OTHER_TOO, OTHER_ONLY, NEITHER}


@pytest.mark.parametrize(
    ("user", "admitted"),
    [
        (User("geheim"), {TOKEN_AND_KEY, OTHER_TOO, TOKEN_ONLY}),
        (User(None, (KEY,)), {TOKEN_AND_KEY, KEY_ONLY}),
        (User(None, (KEY, OTHER)), {TOKEN_AND_KEY, KEY_ONLY, OTHER_TOO, OTHER_ONLY}),
        (User("geheim", (KEY,)), {TOKEN_AND_KEY}),
        (NOBODY, set()),
    ],
)
def test_what_a_line_names_is_needed_and_nothing_else(user, admitted):
    assert admitted == {proof for proof in PROOFS if user.admits(hashed(proof[0]), proof[1])}


def test_drawn_tokens_differ_and_are_long_enough_for_ourselves():
    drawn = {draw_token() for _ in range(100)}
    assert 100 == len(drawn)
    assert drawn == set(map(check_foreign_token, drawn))


@pytest.mark.parametrize(
    ("token", "words"), [("x" * 21, "21 characters"), ("x" * 1025, "1025 bytes")]
)
def test_a_token_from_elsewhere_has_a_fitting_length(token, words):
    with pytest.raises(ConfigError, match=words):
        check_foreign_token(token)


# --- Changing ---


def test_a_new_file_is_for_its_owner_only_and_keeps_no_token(tmp_path):
    path = str(tmp_path / "users")
    add_user(path, "alice", "a token that is drawn")
    assert 0o600 == mode(path)
    assert {"alice": User(hashed("a token that is drawn"))} == read_users(path)
    assert "drawn" not in (tmp_path / "users").read_text()


def test_keys_are_added_with_a_token_or_alone(tmp_path):
    path = str(tmp_path / "users")
    add_user(path, "alice", None, [KEY, OTHER])
    add_user(path, "bob", "token", [KEY])
    expected = {"alice": User(None, (KEY, OTHER)), "bob": User(hashed("token"), (KEY,))}
    assert expected == read_users(path)


@pytest.mark.parametrize(
    ("keys", "words"), [([], "there must be a key"), (["no"], "the key is no key")]
)
def test_nobody_is_added_without_proof(tmp_path, keys, words):
    with pytest.raises(ConfigError, match=words):
        add_user(str(tmp_path / "users"), "alice", None, keys)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_lines_comments_and_mode_stay_as_they_were(tmp_path, end):
    text = f"# first\r\n\nbob  two\n \t# of bob\ncarol three{end}"
    path = write(tmp_path, text)
    os.chmod(path, 0o640)
    add_user(path, "alice", "token")
    before = text if end else text + "\n"
    assert f"{before}alice {hashed('token')}\n".encode() == (tmp_path / "users").read_bytes()
    remove_user(path, "bob")
    left = before.replace("bob  two\n", "")
    assert f"{left}alice {hashed('token')}\n".encode() == (tmp_path / "users").read_bytes()
    assert 0o640 == mode(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_owner_stays_so_that_the_server_can_still_read_it(tmp_path):
    path = write(tmp_path, "alice one\n")
    os.chown(path, 12345, 23456)
    add_user(path, "bob", "two")
    found = os.stat(path)
    assert (12345, 23456) == (found.st_uid, found.st_gid)


def test_a_link_stays_a_link(tmp_path):
    path = write(tmp_path, "alice one\n")
    link = tmp_path / "link"
    link.symlink_to(path)
    add_user(str(link), "bob", "two")
    assert link.is_symlink()
    assert ["alice", "bob"] == list(list_users(path))


def test_the_last_user_leaves_a_file_that_is_not_empty(tmp_path):
    path = write(tmp_path, "alice one\n")
    remove_user(path, "alice")
    assert {} == list_users(path)
    assert os.path.getsize(path)
    add_user(path, "alice", "two")
    assert matches(list_users(path)["alice"].secret, hashed("two"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("alice", "alice exists already"),
        ("", "1 to 32 bytes"),
        ("é" * 17, "1 to 32 bytes"),
        ("a b", "no spaces"),
        ("a\u2028", "no spaces"),
        ("#a", "no # in front"),
        ("a\x1b[2J", "no control signs"),
        ("a\x00", "NUL"),
        ("\udcff", "not valid Unicode"),
    ],
)
def test_a_name_that_cannot_be_added_changes_nothing(tmp_path, name, words):
    path = write(tmp_path, "alice one\n")
    with pytest.raises(ConfigError, match=words):
        add_user(path, name, "token")
    assert {"alice": User("one")} == list_users(path)


def test_nobody_is_removed_by_half_a_name(tmp_path):
    path = write(tmp_path, "alice one\n")
    for name in ("ali", "one", "", "#"):
        with pytest.raises(ConfigError, match="there is no user"):
            remove_user(path, name)
    assert {"alice": User("one")} == list_users(path)


def test_a_malformed_file_is_not_changed(tmp_path):
    path = write(tmp_path, "alice one\nbob\n")
    for change in (lambda: add_user(path, "carol", "x"), lambda: remove_user(path, "alice")):
        with pytest.raises(ConfigError, match="line 2"):
            change()
    assert b"alice one\nbob\n" == (tmp_path / "users").read_bytes()


def test_a_file_that_is_not_there_is_left_so(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        remove_user(str(tmp_path / "users"), "alice")
    with pytest.raises(ConfigError, match="No such file"):
        add_user(str(tmp_path / "nowhere" / "users"), "alice", "token")
    assert [] == list(tmp_path.iterdir())


def test_a_change_that_fails_half_way_leaves_the_old_file(tmp_path, monkeypatch):
    path = write(tmp_path, "alice one\n")

    def full(file):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(users_file.os, "fsync", full)
        with pytest.raises(ConfigError, match="No space left"):
            add_user(path, "bob", "two")
    assert b"alice one\n" == (tmp_path / "users").read_bytes()
    assert ["users", "users.lock"] == sorted(each.name for each in tmp_path.iterdir())


def test_what_somebody_left_who_died_is_in_nobodys_way(tmp_path):
    path = write(tmp_path, "alice one\n")
    (tmp_path / "users.new").write_text("half")
    add_user(path, "bob", "two")
    assert ["alice", "bob"] == list(list_users(path))


def test_users_added_at_the_same_time_are_all_there(tmp_path):
    path = str(tmp_path / "users")
    names = [f"user{i}" for i in range(12)]
    threads = [threading.Thread(target=add_user, args=(path, name, "token")) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == sorted(list_users(path), key=lambda name: int(name[4:]))


def test_a_lock_that_is_never_given_back_is_said(tmp_path, monkeypatch):
    path = write(tmp_path, "alice one\n")
    monkeypatch.setattr(users_file, "LOCK_S_MAX", 0.0)
    with (tmp_path / "users.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another process"):
            add_user(path, "bob", "two")
    assert {"alice": User("one")} == list_users(path)


# --- While a server runs ---


class Live:
    def __init__(self, tmp_path, text):
        self.path = write(tmp_path, text)
        self.warnings = []
        self.users = LiveUsers(self.path, self.warnings.append)

    def change(self, text):
        """Replace the file as our own command does, so that each change is one."""
        with open(self.path + ".new", "w") as file:
            file.write(text)
        os.replace(self.path + ".new", self.path)


def test_a_server_does_not_start_with_nobody(tmp_path):
    with pytest.raises(ConfigError, match="names nobody"):
        Live(tmp_path, "# nobody\n")


def test_changes_are_taken_over(tmp_path):
    live = Live(tmp_path, "alice one\n")
    assert live.users.admits("alice", "one")
    assert not live.users.knows("bob")
    add_user(live.path, "bob", "two")
    assert live.users.knows("bob")
    assert live.users.admits("bob", "two")
    remove_user(live.path, "alice")
    assert not live.users.admits("alice", "one")
    assert not live.users.knows("alice")
    live.change(f"alice key:{KEY}\n")
    assert live.users.admits("alice", "", KEY)
    assert not live.users.admits("alice", "one")
    assert [] == live.warnings


def test_a_file_is_read_only_when_it_has_changed(tmp_path, monkeypatch):
    live = Live(tmp_path, "alice one\n")

    def read(path):
        raise AssertionError("read again")

    monkeypatch.setattr(users_file, "_read", read)
    assert live.users.admits("alice", "one")
    assert not live.users.admits("alice", "two")


@pytest.mark.parametrize(
    ("text", "words"), [("alice\n", "line 1"), ("", "it is empty"), (None, "No such file")]
)
def test_what_cannot_be_used_changes_nothing_and_is_said_once(tmp_path, text, words):
    live = Live(tmp_path, "alice one\n")
    if text is None:
        os.unlink(live.path)
    else:
        live.change(text)
    for _ in range(3):
        assert live.users.admits("alice", "one")
    assert 1 == len(live.warnings)
    assert words in live.warnings[0]
    assert "the users stay as they were" in live.warnings[0]
    live.change("bob two\n")
    assert not live.users.knows("alice")
    assert live.users.admits("bob", "two")
    assert 1 == len(live.warnings)


def test_the_last_user_who_is_removed_cannot_log_in(tmp_path):
    live = Live(tmp_path, "alice one\n")
    remove_user(live.path, "alice")
    assert not live.users.admits("alice", "one")
    assert ["nobody can log in"] == [each.rpartition("; ")[2] for each in live.warnings]


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("alice one\nbob two\n", {"token", "key"}),
        (f"alice {hashed('one')}\n", {"token", "key"}),
        ("alice two\n", set()),
        ("bob one\n", set()),
        (f"alice key:{KEY}\n", {"key"}),
        (f"alice one key:{KEY}\n", {"key"}),
        (f"alice one key:{OTHER}\n", set()),
    ],
)
def test_who_is_in_stays_as_long_as_the_line_would_let_them_in_again(tmp_path, text, stays):
    live = Live(tmp_path, "alice one\n")
    digest = hashed("one").removeprefix("sha256:")
    admitted = {
        name: Admitted(user="alice", device="d", token_sha256=digest, key=key)
        for name, key in (("token", None), ("key", KEY))
    }
    live.change(text)
    live.users.refresh()
    assert 1 == live.users.changes
    assert stays == {name for name, one in admitted.items() if live.users.still_admits(one)}


def test_what_cannot_be_used_is_no_change(tmp_path):
    live = Live(tmp_path, "alice one\n")
    live.change("alice\n")
    live.users.refresh()
    assert 0 == live.users.changes
