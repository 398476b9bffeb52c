"""What runs inside the lab: ``server``, or ``exchange`` with alice and bob; prints lines of JSON.

Started as a program by test_lab.py, in the namespaces of the lab.
"""

import asyncio
import json
import signal
import sys

import udpim

LIMIT_S = 45.0
"""No run lasts longer; the caller's own limit is a little above."""


def say(**values):
    print(json.dumps(values), flush=True)


async def server(folder, host):
    """Serve everybody until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    node = udpim.Server(open_to_all=True, security="plain", store=f"{folder}/server.db")
    async with node.listen(host, 9000) as listening:
        say(address=listening.address)
        await ended.wait()


async def read(client, heard):
    """Note everything that the application is handed, until the client is closed."""
    async for message in client:
        heard.append([message.sender, message.payload.decode()])


async def write(client, to, count, stepwise):
    """Send numbered messages; stepwise, each waits for the receipt of the one before."""
    name = client.user
    if stepwise:
        receipts = []
        for number in range(count):
            receipts.append(await client.send(to, f"{name} {number}".encode()))
            await receipts[-1]
    else:
        receipts = await client.send_many(to, [f"{name} {n}".encode() for n in range(count)])
        await asyncio.gather(*map(wait, receipts))
    return [receipt.state.name for receipt in receipts]


async def wait(receipt):
    await receipt


async def exchange(folder, host, count, pace):
    """Have alice and bob send each other ``count`` messages and wait for all receipts."""
    options = {"security": "plain", "connect_timeout": 20.0, "close_timeout": 10.0}
    alice, bob = [
        await udpim.connect(
            f"udpim://{host}:9000", user=user, store=f"{folder}/{user}.db", **options
        )
        for user in ("alice", "bob")
    ]
    heard = {"alice": [], "bob": []}
    readers = [asyncio.create_task(read(client, heard[client.user])) for client in (alice, bob)]
    stepwise = pace == "stepwise"
    states = await asyncio.gather(
        write(alice, "bob", int(count), stepwise), write(bob, "alice", int(count), stepwise)
    )
    await asyncio.gather(alice.close(), bob.close())
    await asyncio.gather(*readers)
    say(heard=heard, states=dict(zip(("alice", "bob"), states, strict=True)))


async def main(role, *arguments):
    async with asyncio.timeout(None if role == "server" else LIMIT_S):
        await {"server": server, "exchange": exchange}[role](*arguments)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
