"""Who may know who is there: friends see each other, others learn nothing."""

import asyncio

import udpim

FRIENDS = {frozenset({"alice", "bob"})}


def may_see(request: udpim.PresenceRequest) -> bool | str:
    """Tell whether one user may see another's devices."""
    if request.user == request.subject:
        return True
    return frozenset({request.user, request.subject}) in FRIENDS or "no friends"


async def main() -> None:
    """Ask for bob as his friend, and as a stranger."""
    server = udpim.Server(open_to_all=True, may_see=may_see)
    async with server.listen("127.0.0.1", 0) as listening:
        url, key = "udpim://{}:{}".format(*listening.address), listening.public_key
        async with (
            udpim.connect(url, user="alice", server_key=key) as alice,
            udpim.connect(url, user="mallory", server_key=key) as mallory,
        ):
            async with udpim.connect(url, user="bob", device="phone", server_key=key):
                seen = await alice.presence("bob")
                print("alice sees bob online:", seen.online, sorted(seen.devices))
            try:
                await mallory.presence("bob")
            except udpim.PresenceRefused:
                print("mallory learns nothing")


if __name__ == "__main__":
    asyncio.run(main())
