"""Who may log in: a server asks a table of tokens, and gives a reason to whom it refuses."""

import asyncio
import hmac

import udpim

TOKENS = {"alice": "sesame", "bob": "abracadabra"}


async def authenticate(login: udpim.LoginRequest) -> bool | str:
    """Look the user up; words are sent to the client, who sees them in its error."""
    await asyncio.sleep(0)  # where a program asks its database
    known = TOKENS.get(login.user)
    if known is None:
        return "no such account"
    return hmac.compare_digest(known.encode(), login.token.encode())


async def main() -> None:
    """Let alice and bob talk, and turn two others away."""
    server = udpim.Server(authenticate=authenticate)
    async with server.listen("127.0.0.1", 0) as listening:
        url, key = "udpim://{}:{}".format(*listening.address), listening.public_key
        async with (
            udpim.connect(url, user="alice", token="sesame", server_key=key) as alice,
            udpim.connect(url, user="bob", token="abracadabra", server_key=key) as bob,
        ):
            receipt = await alice.send("bob", b"hi")
            message = await anext(aiter(bob))
            print(f"bob got {message.payload.decode()!r} from {message.sender}")
            bob.handled(message)
            print("alice knows:", (await receipt).name)
        for user, token in (("bob", "guess"), ("mallory", "")):
            try:
                await udpim.connect(url, user=user, token=token, server_key=key)
            except udpim.LoginError as error:
                print(f"{user} is refused: {error.reason}")


if __name__ == "__main__":
    asyncio.run(main())
