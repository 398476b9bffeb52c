"""A web application that embeds a udpim server: Starlette's lifespan starts and ends it.

Needs the extra udpim[examples], and an ASGI server: `uvicorn examples.web_server:app`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import udpim

TOKENS: dict[str, str] = {}
"""Users who signed up over HTTP, and what they log in with over UDP."""


class State(TypedDict):
    """What the lifespan gives to every request."""

    listening: udpim.Listening


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    """Serve as long as the web application does; leaving says goodbye and commits."""
    server = udpim.Server(authenticate=lambda login: TOKENS.get(login.user) == login.token)
    async with server.listen(os.environ.get("UDPIM_HOST", "127.0.0.1"), 0) as listening:
        yield {"listening": listening}


async def sign_up(request: Request) -> Response:
    """POST /users/{name}: draw a token."""
    name = request.path_params["name"]
    if name in TOKENS:
        return JSONResponse({"error": "taken"}, status_code=409)
    TOKENS[name] = os.urandom(16).hex()
    listening: udpim.Listening = request.state.listening
    host, port = listening.address
    account = {
        "token": TOKENS[name],
        "url": f"udpim://{host}:{port}",
        "server_key": listening.public_key,
    }
    return JSONResponse(account, status_code=201)


async def health(request: Request) -> Response:
    """GET /health: how many are logged in."""
    return JSONResponse({"sessions": request.state.listening.stats()["sessions"]})


app = Starlette(
    lifespan=lifespan,
    routes=[Route("/users/{name}", sign_up, methods=["POST"]), Route("/health", health)],
)
