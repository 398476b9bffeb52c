"""No secret is in a log, nor in the printed form of any object that holds it."""

import asyncio
import base64
import gc
import logging
import traceback

import pytest

import udpim
from tests.runtime.helpers import live
from udpim.im.records import ClientSnapshot, PutMeta, ServerSnapshot
from udpim.model import Endpoint
from udpim.node.effects import Authenticate
from udpim.runtime.keys import format_key, write_key_pair
from udpim.wire.im_packets import Login

TOKEN = "canary-token-of-alice"


def spellings(secret):
    """How a secret would look if it were printed."""
    return {
        repr(secret)[2:-1],
        secret.hex(),
        base64.b64encode(secret).decode().rstrip("="),
        secret.decode("latin-1"),
    }


def printed():
    """The printed form of every object of the library that is alive."""
    for thing in gc.get_objects():
        kind = type(thing)
        if kind.__module__.split(".")[0] == "udpim":
            yield kind, repr(thing)


@live
async def test_no_living_object_prints_a_secret(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "server.key"
    write_key_pair(file)
    private = base64.b64decode(file.read_text())
    told = []
    server = udpim.Server(authenticate=lambda login: told.append(login) or True, key=file)
    async with server.listen("127.0.0.1", 0) as listening:
        host, port = listening.address
        connecting = udpim.connect(
            f"udpim://{host}:{port}", user="alice", token=TOKEN, server_key=listening.public_key
        )
        async with connecting as client:
            own = client._store.load_client().meta["static_key"]
            secrets = [TOKEN.encode(), private, own]
            words = set().union(*map(spellings, secrets))
            assert len(told) == 1
            kinds = set()
            for kind, text in printed():
                kinds.add(kind.__name__)
                assert not any(word in text for word in words), kind
    assert {"LoginRequest", "ClientConfig", "HopConfig", "ServerSecurity"} <= kinds
    assert not any(word in caplog.text for word in words)


@pytest.mark.parametrize(
    "holder",
    [
        Login("alice", "phone", TOKEN.encode(), 1, 1, False, False),
        Authenticate(token=1, endpoint=Endpoint("alice", "phone"), secret=TOKEN.encode()),
        PutMeta("alice", TOKEN.encode()),
        ClientSnapshot(meta={"alice": TOKEN.encode()}),
        ServerSnapshot(meta={"alice": TOKEN.encode()}),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_what_lives_for_a_moment_prints_none_either(holder):
    assert "canary" not in repr(holder)


@live
async def test_an_error_says_nothing_of_the_token(caplog):
    caplog.set_level(logging.DEBUG)

    def fails(login):
        raise RuntimeError("the database is away")

    async with udpim.Server(authenticate=fails).listen("127.0.0.1", 0) as listening:
        host, port = listening.address
        with pytest.raises(udpim.Error) as caught:
            await udpim.connect(
                f"udpim://{host}:{port}",
                user="alice",
                token=TOKEN,
                server_key=listening.public_key,
                connect_timeout=1.0,
            )
    text = "".join(traceback.format_exception(caught.value))
    assert "database" in caplog.text
    assert TOKEN not in text + caplog.text


def test_a_wrong_key_is_not_repeated():
    secret = format_key(b"\x07" * 31)
    with pytest.raises(udpim.ConfigError) as caught:
        asyncio.run(udpim.connect("udpim://localhost", user="a", server_key=secret).__aenter__())
    assert secret not in str(caught.value)
