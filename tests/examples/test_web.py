"""The web applications in examples/: their lifespan starts and ends what they embed."""

import asyncio

import pytest
from starlette.testclient import TestClient

import udpim
from examples import web_client, web_server


@pytest.fixture
def accounts(monkeypatch):
    monkeypatch.setattr(web_server, "TOKENS", tokens := {})
    return tokens


def test_who_signs_up_over_http_logs_in_over_udp(accounts):
    with TestClient(web_server.app) as web:
        assert {"sessions": 0} == web.get("/health").json()
        answer = web.post("/users/alice")
        assert 201 == answer.status_code
        assert 409 == web.post("/users/alice").status_code
        account = answer.json()

        async def talk():
            async with udpim.connect(
                account["url"],
                user="alice",
                token=account["token"],
                server_key=account["server_key"],
            ):
                return (await asyncio.to_thread(web.get, "/health")).json()

        assert {"sessions": 1} == asyncio.run(talk())
        with pytest.raises(udpim.LoginError):
            asyncio.run(
                udpim.connect(
                    account["url"], user="eve", server_key=account["server_key"]
                ).__aenter__()
            )


def test_a_request_becomes_a_message_and_a_message_a_response(monkeypatch):
    async def talk():
        server = udpim.Server(open_to_all=True)
        async with server.listen("127.0.0.1", 0) as listening:
            host, port = listening.address
            url = f"udpim://{host}:{port}"
            monkeypatch.setenv("UDPIM_URL", url)
            monkeypatch.setenv("UDPIM_SERVER_KEY", listening.public_key)
            async with udpim.connect(url, user="bob", server_key=listening.public_key) as bob:
                handling = asyncio.create_task(bob.run(lambda message: got.append(message.payload)))
                answers.append(await asyncio.to_thread(use_the_web, bob, asyncio.get_event_loop()))
            await handling

    def use_the_web(bob, loop):
        with TestClient(web_client.app) as web:
            sent = web.post("/messages/bob", content=b"from the web").json()

            async def answer():
                await (await bob.send("web", b"to the web"))

            asyncio.run_coroutine_threadsafe(answer(), loop).result(30)
            return sent, web.get("/messages").json()

    got, answers = [], []
    asyncio.run(talk())
    assert [b"from the web"] == got
    assert [({"state": "DELIVERED"}, [{"from": "bob", "text": "to the web"}])] == answers
