"""Who is away: a server that would wake a telephone up when messages wait for it."""

import asyncio
import tempfile
from pathlib import Path

import udpim


async def main() -> None:
    """Write to bob while he is away; the hook is told, and bob gets it when he is back."""
    told = asyncio.Event()

    def on_offline(notice: udpim.NotifyOffline) -> None:
        user, device = notice.endpoint
        count = notice.last - notice.first + 1
        print(f"push to {user}'s {device}: {count} from {notice.stream.user}")
        told.set()

    with tempfile.TemporaryDirectory() as folder:
        server = udpim.Server(
            open_to_all=True,
            on_offline=on_offline,
            store=Path(folder) / "server.db",  # only what is on disk is STORED, and told of
        )
        async with server.listen("127.0.0.1", 0) as listening:
            url, key = "udpim://{}:{}".format(*listening.address), listening.public_key
            async with udpim.connect(url, user="bob", device="phone", server_key=key):
                print("bob's phone is registered, and goes away")
            async with udpim.connect(url, user="alice", server_key=key) as alice:
                receipt = await alice.send("bob", b"call me")
                print("alice knows:", (await receipt.stored()).name)
                await told.wait()
                async with udpim.connect(url, user="bob", device="phone", server_key=key) as bob:
                    message = await anext(aiter(bob))
                    print(f"bob got {message.payload.decode()!r}")
                    bob.handled(message)
                    print("alice knows:", (await receipt).name)


if __name__ == "__main__":
    asyncio.run(main())
