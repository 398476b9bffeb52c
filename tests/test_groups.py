"""Groups over real sockets: what an application asks, and what it is told."""

import asyncio

import pytest

import udpim
from tests.runtime.helpers import live, login, serve, take, until
from udpim import ConfigError, GroupAction, GroupCode, GroupRefused, MessageState
from udpim.errors import TooManyInquiries
from udpim.groups import check_group


@live
async def test_a_group_talks_and_its_receipts_name_everybody():
    async with (
        serve() as server,
        login(server, "alice") as alice,
        login(server, "bob") as bob,
        login(server, "carol", device="phone") as carol,
    ):
        await alice.groups.create("#room")
        await bob.groups.join("#room")
        await alice.groups.join("#room", "carol")
        assert {"alice", "bob", "carol"} == set(await bob.groups.members("#room"))
        assert ("#room",) == await carol.groups.mine()
        receipt = await alice.send("#room", b"hello")
        for client in (bob, carol):
            (message,) = await take(client, 1)
            assert ("alice", "#room", b"hello") == (
                message.sender, message.conversation, message.payload
            )  # fmt: skip
        seen = [state async for state, _ in receipt.changes()]
        assert MessageState.DELIVERED is seen[-1]
        assert {"bob/main", "carol/phone"} == {str(e) for e in receipt.progress.delivered}
        assert not receipt.progress.missing
        await carol.groups.leave("#room")
        assert {"alice", "bob"} == set(await alice.groups.members("#room"))


@live
async def test_reading_reaches_the_sender():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        receipt = await alice.send("bob", b"hello")
        (message,) = await take(bob, 1)
        assert MessageState.DELIVERED is await receipt
        bob.mark_read(message)
        await until(lambda: receipt.state is MessageState.READ)


@live
async def test_four_packets_carry_the_same_messages():
    async with (
        serve() as server,
        login(server, "alice", exchange="four") as alice,
        login(server, "bob", exchange="four") as bob,
    ):
        receipt = await alice.send("bob", b"hello")
        assert b"hello" == (await take(bob, 1))[0].payload
        assert MessageState.DELIVERED is await receipt.accepted(), "nobody says ACCEPTED"


@live
async def test_refusals_name_the_group_and_the_reason():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        await alice.groups.create("#room")
        with pytest.raises(GroupRefused) as there:
            await bob.groups.create("#room")
        assert ("#room", GroupCode.EXISTS) == (there.value.group, there.value.code)
        assert "group #room: exists (code 18)" == str(there.value)
        with pytest.raises(GroupRefused, match="unknown group"):
            await bob.groups.join("#nowhere")
        with pytest.raises(GroupRefused, match="forbidden"):
            await bob.groups.members("#room")


@live
async def test_the_membership_hook_decides_everything():
    asked = []

    async def membership(request):
        asked.append((request.user, request.action, request.group, request.subject))
        if request.action is GroupAction.LEAVE:
            raise RuntimeError("no idea")
        return request.user == "alice" or "alice only"

    async with (
        serve(membership=membership) as server,
        login(server, "alice") as alice,
        login(server, "bob") as bob,
    ):
        await alice.groups.create("#room")
        with pytest.raises(GroupRefused, match="forbidden"):
            await bob.groups.join("#room")
        with pytest.raises(GroupRefused, match="busy"):
            await alice.groups.leave("#room")
    assert [
        ("alice", GroupAction.CREATE, "#room", "alice"),
        ("bob", GroupAction.JOIN, "#room", "bob"),
        ("alice", GroupAction.LEAVE, "#room", "alice"),
    ] == asked


@live
async def test_a_closed_client_answers_nobody():
    async with serve() as server:
        alice = await login(server, "alice")
        asking = asyncio.create_task(alice.groups.create("#room"))
        await asyncio.sleep(0)
        await alice.close(0)
        with pytest.raises(udpim.Error):
            await asking
        with pytest.raises(udpim.Error):
            await alice.groups.mine()


@live
async def test_open_questions_are_limited(monkeypatch):
    monkeypatch.setattr("udpim.im.group_questions.QUESTIONS_MAX", 0)
    async with serve() as server, login(server, "alice") as alice:
        with pytest.raises(TooManyInquiries, match="groups"):
            await alice.groups.mine()


@pytest.mark.parametrize("name", ["", "room", "#", "#" + "x" * 32, "#a\0"])
def test_only_a_mark_and_more_is_a_groups_name(name):
    with pytest.raises(ConfigError):
        check_group(name)
