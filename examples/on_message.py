"""Looking at messages: a server that passes no card numbers on."""

import asyncio
import re

import udpim

CARD = re.compile(rb"(?:\d[ -]?){16}")


async def on_message(message: udpim.OfferedMessage) -> bool | None:
    """Reject what looks like a card number; None lets the rest pass."""
    await asyncio.sleep(0)  # where a program asks a classifier
    return False if CARD.search(message.payload) else None


def print_message(payload: bytes) -> None:
    """Handle one at the recipient."""
    print("bob got", payload.decode())


async def main() -> None:
    """Send three messages, of which the second is rejected; the others go on."""
    server = udpim.Server(open_to_all=True, on_message=on_message)
    async with server.listen("127.0.0.1", 0) as listening:
        url, key = "udpim://{}:{}".format(*listening.address), listening.public_key
        async with (
            udpim.connect(url, user="bob", server_key=key) as bob,
            udpim.connect(url, user="alice", server_key=key) as alice,
        ):
            receiving = asyncio.create_task(bob.run(lambda message: print_message(message.payload)))
            for text in (b"hi", b"mine is 1234 5678 9012 3456", b"bye"):
                receipt = await alice.send("bob", text)
                print("alice knows:", (await receipt.settled()).name)
        await receiving  # ends with the client


if __name__ == "__main__":
    asyncio.run(main())
