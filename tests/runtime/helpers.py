"""Servers and clients on loopback, every wait with an end."""

import asyncio
import functools
import inspect

import pytest

import udpim

HOSTS = ["127.0.0.1", "::1"]
WAIT_S = 30.0


def live(test):
    """Run an async test on asyncio, and end it when it hangs."""

    @functools.wraps(test)
    async def bounded(*args, **kwargs):
        async with asyncio.timeout(WAIT_S):
            await test(*args, **kwargs)

    assert inspect.iscoroutinefunction(test)
    return pytest.mark.asyncio(bounded)


def serve(host="127.0.0.1", port=0, **options):
    if "authenticate" not in options:
        options["open_to_all"] = True
    return udpim.Server(security="plain", **options).listen(host, port)


def login(listening, user, **options):
    host, port = listening.address
    options.setdefault("close_timeout", 2.0)
    options.setdefault("reconnect_s_max", 0.2)
    return udpim.connect(f"udpim://[{host}]:{port}", user=user, security="plain", **options)


async def take(client, count):
    """Return the next messages, all of them handled."""
    messages = []
    async for message in client:
        messages.append(message)
        if len(messages) == count:
            client.handled(message)
            return messages
    raise AssertionError(f"the iteration ended after {len(messages)} messages")


def payloads(count, mark=b"m"):
    return [b"%s%d" % (mark, i) for i in range(count)]


async def until(condition):
    """Let the event loop run until the condition holds; the test's own limit ends it."""
    while not condition():  # noqa: ASYNC110  # whatever makes it true
        await asyncio.sleep(0.001)


async def turns(count):
    """Give the event loop so many turns."""
    for _ in range(count):
        await asyncio.sleep(0)
