"""Who may be in which group: rooms of a company, open to its own people only."""

import asyncio

import udpim

STAFF = {"alice", "bob"}


async def membership(request: udpim.GroupRequest) -> bool | str:
    """Decide on every request to create, join, leave or list a group."""
    if request.action is udpim.GroupAction.LEAVE:
        return request.subject == request.user
    return request.subject in STAFF and request.user in STAFF


async def main() -> None:
    """Make a group of alice and bob, which carol cannot join."""
    server = udpim.Server(open_to_all=True, membership=membership)
    async with server.listen("127.0.0.1", 0) as listening:
        url, key = "udpim://{}:{}".format(*listening.address), listening.public_key
        async with (
            udpim.connect(url, user="alice", server_key=key) as alice,
            udpim.connect(url, user="bob", server_key=key) as bob,
            udpim.connect(url, user="carol", server_key=key) as carol,
        ):
            await alice.groups.create("#lunch")
            await bob.groups.join("#lunch")
            try:
                await carol.groups.join("#lunch")
            except udpim.GroupRefused as error:
                print("carol cannot join:", udpim.GroupCode(error.code).name)
            print("members:", ", ".join(sorted(await alice.groups.members("#lunch"))))
            receipt = await alice.send("#lunch", b"noon?")
            message = await anext(aiter(bob))
            print(f"bob got {message.payload.decode()!r} in the group")
            bob.handled(message)
            print("alice knows:", (await receipt).name)


if __name__ == "__main__":
    asyncio.run(main())
