"""A web application that embeds a udpim client: requests become messages, messages responses.

Needs the extra udpim[examples], a udpim server whose URL is in UDPIM_URL and whose key in
UDPIM_SERVER_KEY, and an ASGI server: `uvicorn examples.web_client:app`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import udpim

INBOX_MAX = 100
"""Received messages that are kept for GET; the oldest goes first."""


class State(TypedDict):
    """What the lifespan gives to every request."""

    client: udpim.Client
    inbox: list[dict[str, str]]


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    """Stay logged in as long as the web application runs."""
    inbox: list[dict[str, str]] = []

    async def keep(message: udpim.Message) -> None:
        inbox.append({"from": message.sender, "text": message.payload.decode(errors="replace")})
        del inbox[:-INBOX_MAX]

    url, key = os.environ["UDPIM_URL"], os.environ["UDPIM_SERVER_KEY"]
    async with udpim.connect(url, user="web", server_key=key) as client:
        receiving = asyncio.create_task(client.run(keep))
        yield {"client": client, "inbox": inbox}
    await receiving  # ends with the client


async def send(request: Request) -> Response:
    """POST /messages/{to}: send the body, and answer with what became of it in 5 s."""
    client: udpim.Client = request.state.client
    receipt = await client.send(request.path_params["to"], await request.body())
    try:
        async with asyncio.timeout(5):
            state = await receipt.settled()
    except TimeoutError:
        state = receipt.state  # it goes on all the same
    return JSONResponse({"state": state.name}, status_code=202)


async def read(request: Request) -> Response:
    """GET /messages: what has come."""
    return JSONResponse(request.state.inbox)


app = Starlette(
    lifespan=lifespan,
    routes=[Route("/messages/{to}", send, methods=["POST"]), Route("/messages", read)],
)
