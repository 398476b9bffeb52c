"""The client over real sockets: exchange, receipts, handling, ends and errors.

Connecting itself is in test_connecting.py.
"""

import asyncio
import contextlib
import json
import re
import socket
from pathlib import Path

import pytest

import udpim
from tests.runtime.helpers import HOSTS, live, login, payloads, serve, take, until
from udpim import MessageState


@pytest.mark.parametrize("host", HOSTS)
@live
async def test_messages_arrive_in_order_and_are_receipted(host):
    async with (
        serve(host) as server,
        login(server, "alice") as alice,
        login(server, "bob", device="phone") as bob,
    ):
        receipts = await alice.send_many("bob", payloads(100))
        messages = await take(bob, 100)
        assert payloads(100) == [m.payload for m in messages]
        assert [r.msgid for r in receipts] == [m.msgid for m in messages]
        assert {("alice", "main", "bob")} == {
            (m.sender, m.device, m.conversation) for m in messages
        }
        for receipt in receipts:
            assert MessageState.DELIVERED is await receipt
        assert ("bob", "phone") == (bob.user, bob.device)


@live
async def test_a_thousand_messages_each_way():
    async with serve() as server, login(server, "alice") as a, login(server, "bob") as b:

        async def talk(me, other):
            receipts = await me.send_many(other, payloads(1000))
            got = [m.payload for m in await take(me, 1000)]
            return got, {await receipt for receipt in receipts}

        for got, states in await asyncio.gather(talk(a, "bob"), talk(b, "alice")):
            assert payloads(1000) == got
            assert {MessageState.DELIVERED} == states


@live
async def test_many_senders_in_one_turn_share_a_commit():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        receipts = await asyncio.gather(*(alice.send("bob", p) for p in payloads(50)))
        assert list(range(1, 51)) == [receipt.msgid.seq for receipt in receipts]
        assert payloads(50) == [m.payload for m in await take(bob, 50)]


@live
async def test_a_message_says_when_it_was_sent(monkeypatch):
    monkeypatch.setattr("udpim.outgoing.time.time_ns", lambda: 1_700_000_000_000_000_000)
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        await alice.send("bob", b"hi")
        (message,) = await take(bob, 1)
        assert "2023-11-14T22:13:20+00:00" == message.sent_at.isoformat()


@live
async def test_stored_for_who_is_away_and_delivered_when_they_come(tmp_path):
    files = {name: tmp_path / f"{name}.db" for name in ("server", "alice", "bob")}
    async with (
        serve(store=files["server"]) as server,
        login(server, "alice", store=files["alice"]) as alice,
    ):
        async with login(server, "bob", store=files["bob"]):
            pass
        receipts = await alice.send_many("bob", payloads(20))
        assert MessageState.STORED is await receipts[0].stored()
        assert await receipts[1].accepted() >= MessageState.ACCEPTED
        waits = [asyncio.ensure_future(receipt.stored()) for receipt in receipts]
        await asyncio.gather(*waits)
        async with login(server, "bob", store=files["bob"]) as bob:
            assert payloads(20) == [m.payload for m in await take(bob, 20)]
        for receipt in receipts:
            assert MessageState.DELIVERED is await receipt


@live
async def test_an_unhandled_message_comes_again_after_a_restart_and_a_handled_one_does_not(
    tmp_path,
):
    file = tmp_path / "bob.db"
    async with serve() as server, login(server, "alice") as alice:
        async with login(server, "bob", store=file) as bob:
            receipts = await alice.send_many("bob", payloads(3))
            seen = []
            async for message in bob:
                seen.append(message.payload)
                if len(seen) == 2:
                    break
            assert {MessageState.DELIVERED} == {await receipt for receipt in receipts}
        async with login(server, "bob", store=file) as bob:
            assert [b"m1", b"m2"] == [m.payload for m in await take(bob, 2)]
        async with login(server, "bob", store=file) as bob:
            await alice.send("bob", b"new")
            assert [b"new"] == [m.payload for m in await take(bob, 1)]


@live
async def test_messages_in_flight_survive_a_restart_of_the_server(tmp_path):
    file = tmp_path / "server.db"
    count = 600
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(store=file))
        alice = await stack.enter_async_context(login(server, "alice"))
        bob = await stack.enter_async_context(login(server, "bob"))
        taking = asyncio.create_task(take(bob, count))
        receipts = await alice.send_many("bob", payloads(count))
        await receipts[0].accepted()
        await server.close()
        assert any(receipt.state is not MessageState.DELIVERED for receipt in receipts)
        await stack.enter_async_context(serve(port=server.address[1], store=file))
        assert payloads(count) == [m.payload for m in await taking]
        assert {MessageState.DELIVERED} == {await receipt for receipt in receipts}
        assert alice.stats()["logins"] == 2
        await asyncio.gather(alice.close(), bob.close())


@live
async def test_an_unknown_recipient_is_rejected():
    async with serve() as server, login(server, "alice") as alice:
        receipt = await alice.send("nobody", b"hi")
        with pytest.raises(udpim.DeliveryRejected, match="unknown recipient") as caught:
            await receipt
        assert udpim.RejectCode.UNKNOWN_RECIPIENT == caught.value.code
        assert MessageState.REJECTED is receipt.state is await receipt.settled()


@live
async def test_a_deadline_makes_the_outcome_unknown():
    async with (
        serve(known_user=lambda user: user == "bob") as server,
        login(server, "alice", close_timeout=0.0) as alice,
    ):
        receipt = await alice.send("bob", b"hi", deadline=0.05)
        with pytest.raises(udpim.DeliveryError) as caught:
            await receipt
        assert receipt is caught.value.receipt


@live
async def test_a_receipt_is_found_again_by_its_msgid_after_a_restart(tmp_path):
    file = tmp_path / "alice.db"
    async with serve(store=tmp_path / "server.db") as server:
        async with login(server, "bob", store=tmp_path / "bob.db"):
            pass
        async with login(server, "alice", store=file) as alice:
            rejected = await alice.send("nobody", b"hi")
            assert MessageState.REJECTED is await rejected.settled()
            stored = await alice.send("bob", b"hi")
            await stored.stored()
            cancelled = await alice.send("bob", b"no")
            await cancelled.stored()
            cancelled.cancel()
            assert MessageState.STORED is alice.receipt(stored.msgid).state
        before = [rejected.msgid, stored.msgid, cancelled.msgid]
        async with login(server, "alice", store=file) as alice:
            receipts = list(map(alice.receipt, before))
            assert before == [receipt.msgid for receipt in receipts]
            with pytest.raises(udpim.DeliveryRejected, match="unknown recipient"):
                await receipts[0]
            assert MessageState.DELIVERED is not receipts[1].state
            async with login(server, "bob", store=tmp_path / "bob.db") as bob:
                assert [b"hi"] == [m.payload for m in await take(bob, 1)]
                assert MessageState.DELIVERED is await receipts[1]
                assert MessageState.VOID is await receipts[2].settled()
        async with login(server, "alice", store=file) as alice:
            assert [MessageState.REJECTED, MessageState.DELIVERED, MessageState.VOID] == [
                alice.receipt(msgid).state for msgid in before
            ]


@live
async def test_no_receipt_is_found_for_what_this_store_never_sent():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        sent = (await alice.send("bob", b"hi")).msgid
        for client, msgid in (
            (bob, sent),
            (alice, sent._replace(seq=0)),
            (alice, sent._replace(seq=2)),
            (alice, sent._replace(stream=sent.stream._replace(incarnation=1))),
        ):
            with pytest.raises(udpim.ConfigError, match="has sent no message"):
                client.receipt(msgid)
        assert sent == alice.receipt(sent).msgid


@live
async def test_a_cancelled_message_ends_void_and_reaches_nobody(tmp_path):
    file = tmp_path / "bob.db"
    async with serve(store=tmp_path / "server.db") as server, login(server, "alice") as alice:
        async with login(server, "bob", store=file):
            pass
        receipt = await alice.send("bob", b"no")
        await receipt.stored()
        receipt.cancel()
        with pytest.raises(udpim.DeliveryTimeout):
            await receipt
        async with login(server, "bob", store=file) as bob:
            assert MessageState.VOID is await receipt.settled()
            with pytest.raises(udpim.DeliveryVoid):
                await receipt
            await alice.send("bob", b"yes")
            assert [b"yes"] == [m.payload for m in await take(bob, 1)]


@live
async def test_resending_by_hand_delivers_no_second_time():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        receipt = await alice.send("bob", b"one")
        receipt.resend()
        await alice.send("bob", b"two")
        assert [b"one", b"two"] == [m.payload for m in await take(bob, 2)]
        assert MessageState.DELIVERED is await receipt
        receipt.resend()
        receipt.cancel()
        assert MessageState.DELIVERED is await receipt


@live
async def test_an_exception_in_the_body_brings_the_message_again():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        receipts = await alice.send_many("bob", payloads(2))
        with contextlib.suppress(ZeroDivisionError):
            async for _ in bob:
                raise ZeroDivisionError
        assert MessageState.DELIVERED is not receipts[0].state
        assert payloads(2) == [m.payload for m in await take(bob, 2)]
        assert {MessageState.DELIVERED} == {await receipt for receipt in receipts}


@live
async def test_a_poison_message_is_tried_again_then_set_aside_and_never_dropped(tmp_path):
    file, seen = tmp_path / "bob.db", []

    async def handler(message):
        seen.append(message.payload)
        if message.payload == b"poison":
            raise ValueError("cannot read it")

    def run(client):
        return asyncio.create_task(
            client.run(handler, retries=2, backoff_s_min=0.001, backoff_s_max=0.002)
        )

    async with serve() as server, login(server, "alice") as alice, login(server, "carol") as carol:
        async with login(server, "bob", store=file) as bob:
            running = run(bob)
            receipts = await alice.send_many("bob", [b"poison", b"behind"])
            receipts.append(await carol.send("bob", b"beside"))
            assert {MessageState.DELIVERED} == {await receipt for receipt in receipts}
            await until(lambda: bob.stats()["inbox"]["handled_messages"] == 2)
            assert 3 == seen.count(b"poison")
            assert {b"poison", b"behind", b"beside"} == set(seen)
            shown = bob.stats()["inbox"]
            assert (3, 1) == (shown["handler_failures"], shown["set_aside"])
            assert (1, 6) == (shown["aside_messages"], shown["aside_bytes"])
        assert await running is None
        async with login(server, "bob", store=file) as bob:
            running = run(bob)
            await alice.send("bob", b"later")
            await until(lambda: seen[-1] == b"later")
            assert 3 == seen.count(b"poison"), "it does not come again by itself"
            ((message, words),) = bob.aside
            assert (b"poison", "ValueError: cannot read it") == (message.payload, words)
            assert receipts[0].msgid == message.msgid
            bob.aside.retry(message)
            await until(lambda: len(bob.aside) == 1 and seen.count(b"poison") == 6)
        await running
        async with login(server, "bob", store=file) as bob:
            bob.aside.discard(message)
        async with login(server, "bob", store=file) as bob:
            assert 0 == len(bob.aside)
            await alice.send("bob", b"end")
            assert [b"end"] == [m.payload for m in await take(bob, 1)]


@live
async def test_a_poison_message_of_an_inbox_in_memory_is_never_shown_as_delivered():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        poison, behind = await alice.send_many("bob", [b"poison", b"behind"])
        async for message in bob:
            if message.payload == b"behind":
                bob.handled(message)
                break
            bob.aside.add(message, "by hand")
        assert MessageState.DELIVERED is await behind
        await until(lambda: poison.state is MessageState.UNKNOWN)
        bob.aside.retry(next(iter(bob.aside)).message)
        assert [b"poison"] == [m.payload for m in await take(bob, 1)]
        await (await alice.send("bob", b"last")).accepted()
        assert MessageState.UNKNOWN is poison.state
        assert MessageState.UNKNOWN is await poison.settled()


@live
async def test_a_run_refuses_what_cannot_work_and_a_closed_client_sets_nothing_aside():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        with pytest.raises(udpim.ConfigError, match="retries"):
            await alice.run(print, retries=-1)
        await bob.send("alice", b"hi")
        message = await anext(aiter(alice))
        await alice.close()
        with pytest.raises(udpim.ConnectionClosed):
            alice.aside.add(message, "late")


@live
async def test_the_lower_payload_limit_of_both_sides_holds_once_it_is_known():
    async with serve(limits=udpim.Limits(payload_bytes_max=1000)) as server:
        async with login(server, "bob"), login(server, "alice") as alice:
            await (await alice.send("bob", bytes(1000))).accepted()
            with pytest.raises(udpim.PayloadTooLarge, match="1001 bytes is over the limit of 1000"):
                await alice.send("bob", bytes(1001))
        limits = udpim.Limits(payload_bytes_max=10)
        async with login(server, "alice", limits=limits) as tiny:
            with pytest.raises(udpim.PayloadTooLarge, match="11 bytes is over the limit of 10"):
                tiny.send_nowait("bob", bytes(11))


@live
async def test_what_is_too_large_or_wrong_is_refused_before_anything_is_sent():
    async with serve() as server, login(server, "alice") as alice:
        with pytest.raises(udpim.PayloadTooLarge, match="1048577 bytes is over the limit"):
            await alice.send("bob", bytes(1_048_577))
        with pytest.raises(udpim.ConfigError, match="recipient must have 1 to 32 bytes"):
            await alice.send("b" * 33, b"hi")
        with pytest.raises(udpim.ConfigError, match="a payload is bytes, not str"):
            alice.send_nowait("bob", "hi")
        with pytest.raises(udpim.ConfigError, match="deadline must be positive"):
            await alice.send("bob", b"hi", deadline=0)
        assert [] == await alice.send_many("bob", [])
        assert 0 == alice.stats()["outbox"]["open_messages"]


@live
async def test_closing_drains():
    async with serve() as server, login(server, "bob") as bob:
        taking = asyncio.create_task(take(bob, 500))
        async with login(server, "alice") as alice:
            receipts = [alice.send_nowait("bob", p) for p in payloads(500)]
        assert {MessageState.DELIVERED} == {receipt.state for receipt in receipts}
        assert payloads(500) == [m.payload for m in await taking]


@live
async def test_after_closing_everything_says_so():
    async with serve() as server:
        client = await login(server, "alice", close_timeout=0.1)
        receipt = await client.send("alice", b"to myself")
        waiting = asyncio.create_task(receipt.settled())
        await asyncio.sleep(0)
        await asyncio.gather(client.close(), client.close())
        with pytest.raises(udpim.ConnectionClosed, match="the client was closed"):
            await waiting
        with pytest.raises(udpim.ConnectionClosed):
            await client.send("bob", b"late")
        with pytest.raises(udpim.ConnectionClosed):
            receipt.cancel()
        assert [] == [message async for message in client]
        assert udpim.LinkState.CLOSED is client.state
        await until(lambda: server.stats()["sessions"] == 0)


@live
async def test_an_iteration_that_waits_ends_when_the_client_closes():
    async with serve() as server, login(server, "alice") as alice:

        async def read():
            return [message async for message in alice]

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        await alice.close()
        assert [] == await reading


@live
async def test_closing_goes_on_when_the_call_is_cancelled(tmp_path):
    file = tmp_path / "alice.db"
    async with serve() as server:
        client = await login(server, "alice", store=file)
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await client.close()
        async with login(server, "alice", store=file) as again:
            assert udpim.LinkState.ONLINE is again.state


@live
async def test_a_second_login_of_the_device_ends_the_first():
    async with serve() as server, login(server, "alice") as first:
        waiting = asyncio.create_task(anext(aiter(first)))
        async with login(server, "alice"):
            with pytest.raises(udpim.LoginError, match="another login of this device"):
                await waiting
            with pytest.raises(udpim.LoginError):
                await first.send("bob", b"hi")
            assert udpim.LinkState.CLOSED is first.state


@live
async def test_garbage_is_counted_and_messages_still_flow():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        host, port = server.address
        client_port = alice._sockets.address[1]
        garbage = [b"\x00", b"\x81" * 30, bytes(range(200)), b"\x81" * 1500, b"\x01" * 40]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for data in garbage * 20:
                sock.sendto(data, (host, port))
                sock.sendto(data, ("127.0.0.1", client_port))
        await until(lambda: sum(server.stats()["drops"].values()) >= 20 * len(garbage))
        await until(lambda: sum(alice.stats()["drops"].values()) >= 20 * len(garbage))
        receipt = await alice.send("bob", b"still here")
        assert [b"still here"] == [m.payload for m in await take(bob, 1)]
        assert MessageState.DELIVERED is await receipt


class FailingStore(udpim.MemoryStore):
    """Forgets nothing, until told to fail."""

    failing = False

    def completed(self):
        error = udpim.StoreFull(self.path, "no room") if self.failing else None
        return [done._replace(error=error) for done in super().completed()]


@live
async def test_a_failing_store_reaches_everybody_who_waits():
    store = FailingStore()
    async with serve() as server, login(server, "alice", store=store) as alice:
        receipt = await alice.send("alice", b"hi")
        waiting = asyncio.create_task(receipt.settled())
        store.failing = True
        with pytest.raises(udpim.StoreFull):
            await alice.send("alice", b"never promised")
        with pytest.raises(udpim.StoreFull):
            await waiting
        with pytest.raises(udpim.StoreFull):
            await anext(aiter(alice))


@live
async def test_a_bug_in_the_node_is_logged_and_hangs_nobody(caplog):
    async with serve() as server, login(server, "alice") as alice:
        receipt = await alice.send("alice", b"hi")
        waiting = asyncio.create_task(receipt.settled())
        await asyncio.sleep(0)

        def broken(now):
            raise ZeroDivisionError

        alice._node.datagrams_to_send = broken
        with pytest.raises(udpim.ConnectionClosed, match="internal error: ZeroDivisionError"):
            await alice.send("alice", b"again")
        with pytest.raises(udpim.ConnectionClosed):
            await waiting
        assert "ZeroDivisionError" in caplog.text


# --- Looking at it ---


def keys_of(stats, path=""):
    """Every key of the statistics, as README writes it, but what is counted by reason or errno."""
    for key, value in stats.items():
        if isinstance(value, dict) and key != "drops":
            yield from keys_of(value, f"{path}{key}.")
        elif key != "drops" and not key.startswith("error "):
            yield path + key


def explained_keys():
    readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    table = readme.partition("\n## Counters\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {key for row in rows for key in re.findall("`([^`…]+)`", row)}


@live
async def test_every_key_of_the_statistics_is_explained_in_the_readme():
    async with serve() as server, login(server, "alice") as alice, login(server, "bob") as bob:
        receipt = await alice.send("bob", b"hi")
        await take(bob, 1)
        await receipt
        shown = [server.stats(), alice.stats()]
    assert shown == json.loads(json.dumps(shown, allow_nan=False))
    keys = {key for stats in shown for key in keys_of(stats)}
    runs = {"endpoint.runs_sent", "endpoint.runs_received"}  # of one kind of endpoint only
    assert keys - explained_keys() == set()
    assert explained_keys() - keys - runs == set()
