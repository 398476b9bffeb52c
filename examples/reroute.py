"""Deciding who gets a message: a server that hands what is urgent to whoever is on duty."""

import asyncio

import udpim


def on_message(message: udpim.OfferedMessage) -> udpim.Reroute | None:
    """Send urgent messages for the support to the one on duty; None lets the rest pass."""
    if message.conversation == "support" and message.payload.startswith(b"urgent"):
        return udpim.Reroute(to="dora")
    return None


async def print_messages(client: udpim.Client, user: str) -> None:
    """Print what a user gets."""
    async for message in client:
        print(user, "got", message.payload.decode())


async def main() -> None:
    """Write two messages to the support, of which the second is for somebody else."""
    server = udpim.Server(open_to_all=True, on_message=on_message)
    async with server.listen("127.0.0.1", 0) as listening:
        url, key = "udpim://{}:{}".format(*listening.address), listening.public_key
        async with (
            udpim.connect(url, user="support", server_key=key) as support,
            udpim.connect(url, user="dora", server_key=key) as dora,
            udpim.connect(url, user="alice", server_key=key) as alice,
        ):
            receiving = [
                asyncio.create_task(print_messages(support, "support")),
                asyncio.create_task(print_messages(dora, "dora")),
            ]
            for text in (b"how do I pay?", b"urgent: it burns"):
                receipt = await alice.send("support", text)
                state = await receipt  # of the message that goes on, where it does
                instead = receipt.rerouted
                words = f"DELIVERED to {instead.recipient} instead" if instead else state.name
                print("alice knows:", words)
        await asyncio.gather(*receiving)  # they end with the clients


if __name__ == "__main__":
    asyncio.run(main())
