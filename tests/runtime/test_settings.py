"""What callers hand in."""

import asyncio

import pytest

from tests.runtime.helpers import live
from udpim.errors import ConfigError, LocalProtocolError, StoreFormat
from udpim.runtime import settings
from udpim.store.memory import MemoryStore


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("udpim://chat.example:9001", ("chat.example", 9001)),
        ("udpim://chat.example/", ("chat.example", 9000)),
        ("chat.example", ("chat.example", 9000)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("udpim://[::1]:65535", ("::1", 65535)),
        ("[::1]", ("::1", 9000)),
        ("::1", ("::1", 9000)),
    ],
)
def test_an_address_is_read(text, address):
    assert address == settings.parse_address(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no udpim address"),
        ("udpim://", "is no udpim address"),
        ("udpim://:9000", "is no udpim address"),
        ("http://chat.example", "is no udpim address"),
        ("udpim://alice@chat.example", "is no udpim address"),
        ("udpim://chat.example/path", "is no udpim address"),
        ("[::1", "is no udpim address"),
        ("[::1]9000", "is no udpim address"),
        ("chat.example:", "is no port number"),
        ("chat.example:http", "is no port number"),
        ("chat.example:٣", "is no port number"),
        ("chat.example:-1", "is no port number"),
        ("chat.example:0", "port 0 is out of range, 1 to 65535"),
        ("chat.example:65536", "port 65536 is out of range"),
    ],
)
def test_a_wrong_address_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        settings.parse_address(text)


@pytest.mark.parametrize("name", ["a", "é" * 16, "x" * 32, "with space"])
def test_a_name_is_taken(name):
    assert name == settings.check_name("user", name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "not 0"),
        ("é" * 17, "not 34"),
        ("a\x00b", "must not contain NUL"),
        ("\ud800", "not valid Unicode"),
    ],
)
def test_a_wrong_name_is_refused(name, words):
    with pytest.raises(ConfigError, match=words):
        settings.check_name("user", name)


def test_a_token_is_text_of_limited_size():
    assert b"\xc3\xa9" == settings.check_token("é")
    with pytest.raises(ConfigError, match="1026 bytes, the limit is 1024"):
        settings.check_token("é" * 513)
    with pytest.raises(ConfigError, match="not valid Unicode"):
        settings.check_token("\udcff")


@live
async def test_a_store_of_the_callers_own_stays_open_and_others_are_closed(tmp_path):
    own = MemoryStore()
    assert own is await settings.open_store(own, "client")
    await settings.close_store(own, own)
    own.submit(1, [])
    for choice in (None, tmp_path / "a.db", str(tmp_path / "b.db")):
        store = await settings.open_store(choice, "client")
        assert store.durable == (choice is not None)
        await settings.close_store(store, choice)
        with pytest.raises(LocalProtocolError):
            store.submit(1, [])


@live
async def test_an_opening_that_nobody_waits_for_leaves_no_lock_and_no_complaint(tmp_path):
    wrong = tmp_path / "wrong.db"
    wrong.write_text("not a store" * 100)
    for path in (tmp_path / "right.db", wrong):
        opening = asyncio.create_task(settings.open_store(path, "client"))
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(others)
    await asyncio.sleep(0)
    store = await settings.open_store(tmp_path / "right.db", "client")
    store.close()
    with pytest.raises(StoreFormat):
        await settings.open_store(wrong, "client")


def test_several_addresses_are_read_in_their_order():
    read = settings.parse_addresses("udpim://a:1,[::1]:2, c")
    assert (("a", 1), ("::1", 2), ("c", 9000)) == read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,,b", "is no udpim address"),
        ("a," * 16 + "a", "17 addresses of the server, the limit is 16"),
    ],
)
def test_wrong_lists_of_addresses_are_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        settings.parse_addresses(text)
