"""Who may write to whom: guests write to the support desk and to nobody else."""

import asyncio

import udpim


def may_send(request: udpim.SendRequest) -> bool | str:
    """Decide for a device and a conversation; asked again after a minute."""
    if request.user.startswith("guest-") and request.conversation != "support":
        return "guests write to support only"  # for the server's log
    return True


async def main() -> None:
    """Let a guest write to support, and fail to write to alice."""
    server = udpim.Server(open_to_all=True, may_send=may_send)
    async with server.listen("127.0.0.1", 0) as listening:
        url, key = "udpim://{}:{}".format(*listening.address), listening.public_key
        async with (
            udpim.connect(url, user="support", server_key=key) as support,
            udpim.connect(url, user="alice", server_key=key),
            udpim.connect(url, user="guest-1", server_key=key) as guest,
        ):
            receipt = await guest.send("support", b"help")
            message = await anext(aiter(support))
            print(f"support got {message.payload.decode()!r} from {message.sender}")
            support.handled(message)
            print("to support:", (await receipt).name)
            try:
                await (await guest.send("alice", b"hello"))
            except udpim.DeliveryRejected as error:
                print("to alice:", udpim.RejectCode(error.code).name)


if __name__ == "__main__":
    asyncio.run(main())
