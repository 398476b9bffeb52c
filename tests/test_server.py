"""The server over real sockets: hooks, limits, ends and errors."""

import asyncio
import hashlib

import pytest

import udpim
from tests.runtime.helpers import live, login, payloads, serve, take, until
from udpim import MessageState
from udpim.model import LoginCode


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"security": "tls", "open_to_all": True}, 'security is "require" for encryption'),
        ({}, "needs an authenticate hook, or open_to_all=True"),
        ({"authenticate": bool, "open_to_all": True}, "would leave the authenticate hook unasked"),
        ({"open_to_all": True, "close_timeout": -1}, "times must not be negative"),
        ({"open_to_all": True, "retire_after_s": 0}, "retire_after_s not 0"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(options, words):
    with pytest.raises(udpim.ConfigError, match=words):
        udpim.Server(**{"security": "plain", **options})


def test_what_a_server_forgets_after_which_time_is_its_owners_choice():
    limits = udpim.Limits(queue_ttl_s=3600)
    server = udpim.Server(open_to_all=True, security="plain", retire_after_s=86_400, limits=limits)
    config = server.settings.config
    assert (86_400, 3600) == (config.retire_after_s, config.limits.queue_ttl_s)
    usual = udpim.Server(open_to_all=True, security="plain", retire_after_s=float("inf"))
    assert 7 * 86_400 == usual.settings.config.limits.queue_ttl_s


def test_a_port_out_of_range_is_refused_at_once():
    with pytest.raises(udpim.ConfigError, match="port 65536 is out of range, 0 to 65535"):
        serve(port=65536)


@live
async def test_a_port_in_use_is_named_and_the_store_released(tmp_path):
    file = tmp_path / "server.db"
    async with serve() as first:
        with pytest.raises(udpim.ConfigError, match="port in use"):
            await serve(port=first.address[1], store=file)
    async with serve(store=file) as second:
        assert 0 == second.stats()["sessions"]


@live
async def test_an_address_of_another_machine_is_named():
    with pytest.raises(udpim.ConnectError, match="no such address"):
        await serve("192.0.2.1")


@live
async def test_it_is_started_once():
    listening = serve()
    with pytest.raises(udpim.ConfigError, match="not listening yet"):
        _ = listening.address
    async with listening:
        with pytest.raises(udpim.ConfigError, match="started before"):
            await listening


@live
async def test_the_hook_sees_who_asks_and_its_words_travel():
    seen = []

    async def authenticate(request):
        seen.append((request.user, request.device, request.token))
        assert "secret" not in repr(request)
        await asyncio.sleep(0)
        return request.user == "alice" or "only alice, €" * 30

    async with serve(authenticate=authenticate) as server:
        async with login(server, "alice", device="phone", token="secret"):
            assert [("alice", "phone", "secret")] == seen
        with pytest.raises(udpim.LoginError) as caught:
            await login(server, "bob")
        assert caught.value.reason.startswith("only alice, €only")
        assert len(caught.value.reason.encode()) <= 255


@live
async def test_a_token_that_is_no_text_is_refused(monkeypatch):
    monkeypatch.setattr("udpim.connecting.check_token", lambda token: b"\xff")
    async with serve(authenticate=lambda request: True) as server:
        with pytest.raises(udpim.LoginError, match="the token is not UTF-8"):
            await login(server, "alice")


async def fails_later(request):
    raise ZeroDivisionError


def fails_at_once(request):
    raise ZeroDivisionError


@pytest.mark.parametrize("hook", [fails_later, fails_at_once])
@live
async def test_a_hook_that_raises_lets_nobody_in_and_is_logged(hook, caplog):
    async with serve(authenticate=hook) as server:
        with pytest.raises(udpim.HandshakeFailed, match="authentication failed to run"):
            await login(server, "alice", connect_timeout=1.0)
    assert "the authenticate hook failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@live
async def test_a_hook_that_never_answers_does_not_hold_up_the_end():
    started = asyncio.Event()

    async def authenticate(request):
        started.set()
        await asyncio.Event().wait()

    async with serve(authenticate=authenticate) as server:
        dialling = asyncio.ensure_future(login(server, "alice").__aenter__())
        await started.wait()
        await server.close()
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("broken", [False, True])
@live
async def test_on_offline_is_told_what_was_stored(later, broken, tmp_path, caplog):
    notices = []

    def told(notice):
        notices.append(notice)
        if broken:
            raise ZeroDivisionError

    async def told_later(notice):
        told(notice)

    hook = told_later if later else told
    async with serve(store=tmp_path / "server.db", on_offline=hook) as server:
        async with login(server, "bob"):
            pass
        async with login(server, "alice") as alice:
            receipts = await alice.send_many("bob", payloads(5))
            for receipt in receipts:
                await receipt.stored()
        await until(lambda: notices)
        assert ("bob", "main") == notices[0].endpoint
        assert "alice" == notices[0].stream.user
        assert set(range(1, 6)) == {s for n in notices for s in range(n.first, n.last + 1)}
    assert broken == ("the on_offline hook failed" in caplog.text)


@pytest.mark.parametrize("later", [False, True])
@live
async def test_a_message_is_routed_when_both_hooks_let_it_and_rejected_otherwise(later):
    def may_send(request):
        return request.conversation != "eve" or "nobody writes to eve"

    def on_message(message):
        return False if b"spam" in message.payload else None

    async def may_send_later(request):
        await asyncio.sleep(0)
        return may_send(request)

    async def on_message_later(message):
        await asyncio.sleep(0)
        return on_message(message)

    hooks = (may_send_later, on_message_later) if later else (may_send, on_message)
    async with (
        serve(may_send=hooks[0], on_message=hooks[1]) as server,
        login(server, "eve"),
        login(server, "bob") as bob,
        login(server, "alice") as alice,
    ):
        await (await alice.send("bob", b"hi"), (await take(bob, 1)))[0]
        sent = [await alice.send("bob", payload) for payload in (b"1", b"spam", b"2")]
        sent.append(await alice.send("eve", b"hi"))
        assert [b"1", b"2"] == [m.payload for m in await take(bob, 2)]
        states = [await receipt.settled() for receipt in sent]
        assert ["DELIVERED", "REJECTED", "DELIVERED", "REJECTED"] == [s.name for s in states]
        with pytest.raises(udpim.DeliveryRejected) as caught:
            await sent[1]
        assert udpim.RejectCode.FORBIDDEN == caught.value.code


@live
async def test_a_rerouted_message_goes_to_somebody_else_and_its_receipt_follows(tmp_path):
    def on_message(message):
        if message.conversation == "bob" and message.payload != b"1":
            return udpim.Reroute(to={b"c": "carol", b"b": "bob"}[message.payload[:1]])
        return None

    file = tmp_path / "alice.db"
    async with (
        serve(on_message=on_message) as server,
        login(server, "bob") as bob,
        login(server, "carol") as carol,
    ):
        async with login(server, "alice", store=file) as alice:
            first = await alice.send("bob", b"1")
            assert [b"1"] == [m.payload for m in await take(bob, 1)]
            assert MessageState.DELIVERED is await first
            assert first.rerouted is None
            receipt = await alice.send("bob", b"c")
            assert [b"c"] == [m.payload for m in await take(carol, 1)]
            assert MessageState.DELIVERED is await receipt is await receipt.settled()
            assert MessageState.REJECTED is receipt.state
            assert ("bob", "carol") == (receipt.recipient, receipt.rerouted.recipient)
            assert MessageState.DELIVERED is receipt.rerouted.state
            loop = await alice.send("bob", b"b")
            with pytest.raises(udpim.DeliveryRejected) as caught:
                await loop
            assert udpim.RejectCode.REDIRECTED == caught.value.code
            assert loop.rerouted.rerouted.rerouted.rerouted.rerouted is None
        async with login(server, "alice", store=file) as again:
            assert "carol" == again.receipt(receipt.msgid).rerouted.recipient
            await again.send("bob", b"c, and closed at once")
        assert [b"c, and closed at once"] == [m.payload for m in await take(carol, 1)]


@live
async def test_messages_wait_for_a_known_user_who_never_logged_in():
    async with (
        serve(known_user=lambda user: user == "bob") as server,
        login(server, "alice") as alice,
    ):
        rejected = await alice.send("carol", b"hi")
        assert MessageState.REJECTED is await rejected.settled()
        receipt = await alice.send("bob", b"hi")
        async with login(server, "bob") as bob:
            assert [b"hi"] == [m.payload for m in await take(bob, 1)]
            assert MessageState.DELIVERED is await receipt


@live
async def test_a_known_user_hook_that_raises_rejects_nothing(caplog):
    asked = asyncio.Event()

    def known_user(user):
        asked.set()
        raise ZeroDivisionError

    async with (
        serve(known_user=known_user) as server,
        login(server, "alice", close_timeout=0.0) as alice,
        login(server, "carol") as carol,
    ):
        receipt = await alice.send("bob", b"hi")
        await asked.wait()
        await alice.send("carol", b"behind it")
        await take(carol, 1)
        assert MessageState.REJECTED is not receipt.state
    assert "the known_user hook failed" in caplog.text


@live
async def test_the_server_fills_a_group_of_its_own_and_asks_no_hook():
    async with (
        serve(membership=lambda request: False) as server,
        login(server, "bob") as bob,
        login(server, "alice") as alice,
    ):
        with pytest.raises(udpim.GroupRefused, match="unknown group"):
            await server.add_member("#support", "bob")
        assert () == server.members("#support")
        await server.create_group("#support", "bob")
        await server.add_member("#support", "alice")
        await server.add_member("#support", "alice")
        assert ("alice", "bob") == tuple(sorted(server.members("#support")))
        receipt = await alice.send("#support", b"help")
        assert [b"help"] == [m.payload for m in await take(bob, 1)]
        assert MessageState.DELIVERED is await receipt
        await server.remove_member("#support", "alice")
        assert ("bob",) == server.members("#support")
        refused = await alice.send("#support", b"again")
        assert MessageState.REJECTED is await refused.settled()
        with pytest.raises(udpim.GroupRefused, match="unknown user"):
            await server.add_member("#support", "nobody")
        with pytest.raises(udpim.ConfigError, match="a group's name begins with #"):
            await server.create_group("support", "bob")


class SlowStore(udpim.MemoryStore):
    """Completes nothing while it is told so."""

    slow = False

    def completed(self):
        return [] if self.slow else super().completed()


@live
async def test_a_change_of_a_group_that_the_end_overtakes_is_no_change():
    store = SlowStore()
    server = serve(store=store, close_timeout=0.0)
    async with server, login(server, "bob", close_timeout=0.0):
        store.slow = True
        changing = asyncio.create_task(server.create_group("#team", "bob"))
        await until(lambda: server.stats()["commits_in_progress"])
        await server.close()
        with pytest.raises(udpim.GroupRefused, match="busy"):
            await changing
        with pytest.raises(udpim.ConnectionClosed, match="the server is closed"):
            await server.create_group("#team", "bob")


@live
async def test_serving_for_ever_ends_when_it_is_closed():
    async with serve() as server:
        serving = asyncio.create_task(server.serve_forever())
        async with login(server, "alice") as alice:
            await asyncio.gather(server.close(), server.close())
            await serving
            await until(lambda: alice.state is not udpim.LinkState.ONLINE)
            await alice.close(0)


class BrokenStore(udpim.MemoryStore):
    """Fails when told to, in the way that it is told."""

    error = None

    def completed(self):
        return [done._replace(error=self.error) for done in super().completed()]


@live
async def test_a_broken_store_ends_the_server_but_a_full_one_does_not(caplog):
    store = BrokenStore()
    async with serve(store=store) as server:
        serving = asyncio.create_task(server.serve_forever())
        async with login(server, "alice"):
            pass
        store.error = udpim.StoreFull(store.path, "no room")
        with pytest.raises(udpim.HandshakeFailed, match="the store refused the login"):
            await login(server, "carol", connect_timeout=0.3)
        store.error = None
        async with login(server, "alice"):
            pass
        assert not serving.done()
        store.error = udpim.StoreError(store.path, "the disk fails")
        with pytest.raises(udpim.ConnectError):
            await login(server, "bob", connect_timeout=0.3)
        with pytest.raises(udpim.StoreError, match="the disk fails"):
            await serving
    assert "no room" in caplog.text


@live
async def test_a_server_that_cannot_keep_its_store_epoch_ends(caplog):
    store = BrokenStore()
    store.error = udpim.StoreFull(store.path, "no room")
    async with serve(store=store) as server:
        with pytest.raises(udpim.StoreFull, match="no room"):
            await server.serve_forever()
    assert "no room" in caplog.text


@live
async def test_a_bug_in_the_node_ends_the_server(caplog):
    async with serve() as server:
        serving = asyncio.create_task(server.serve_forever())
        server._work.serving()._node.receive_datagrams = lambda burst, now: 1 // 0
        with pytest.raises(udpim.ConnectTimeout):
            await login(server, "alice", connect_timeout=0.2)
        with pytest.raises(udpim.ConnectionClosed, match="internal error: ZeroDivisionError"):
            await serving
    assert "the driver stops" in caplog.text


@live
async def test_what_is_unreceipted_at_the_end_waits_in_the_queue(tmp_path):
    files = {name: tmp_path / f"{name}.db" for name in ("server", "alice")}
    async with serve(store=files["server"]) as server:
        bob = await login(server, "bob")
        async with login(server, "alice", store=files["alice"], close_timeout=0.0) as alice:
            receipt = await alice.send("bob", b"hi")
            await anext(aiter(bob))  # memory inbox, not handled: no receipt
            assert MessageState.DELIVERED is not receipt.state
        await server.close()
        await bob.close(0)
    async with serve(store=files["server"]) as server, login(server, "bob") as bob:
        assert [b"hi"] == [m.payload for m in await take(bob, 1)]


@live
async def test_whoever_is_revoked_is_told_and_ends_and_is_asked_for_again():
    banned = set()
    async with serve(authenticate=lambda request: request.user not in banned) as server:
        async with login(server, "alice") as alice, login(server, "bob") as bob:
            banned.add("alice")
            assert 1 == await server.revoke("alice", reason="the account is \ud800closed")
            with pytest.raises(udpim.LoginError, match=r"^the account is \?closed$") as told:
                await take(alice, 1)
            assert LoginCode.REVOKED == told.value.code
            with pytest.raises(udpim.LoginError):
                await alice.send("bob", b"hi")
            with pytest.raises(udpim.LoginError, match="wrong credentials"):
                await login(server, "alice")
            assert udpim.LinkState.ONLINE is bob.state
            assert 0 == await server.revoke("bob", "another")
            assert 1 == await server.revoke("bob", "main")
        assert 2 == server.stats()["revoked_logins"]
    with pytest.raises(udpim.ConnectionClosed):
        await server.revoke("bob")


@live
async def test_everybody_is_judged_anew_by_what_let_them_in():
    good, seen = {"one", "two"}, []
    async with (
        serve(authenticate=lambda request: request.token in good) as server,
        login(server, "alice", token="one"),
        login(server, "bob", token="two") as bob,
    ):
        good.remove("two")
        digests = {hashlib.sha256(token.encode()).hexdigest() for token in good}

        def may_stay(admitted):
            seen.append((admitted.user, admitted.device, admitted.key))
            return admitted.token_sha256 in digests

        assert 1 == await server.recheck(may_stay, reason="tokens were changed")
        with pytest.raises(udpim.LoginError, match="tokens were changed"):
            await take(bob, 1)
    assert [("alice", "main", None), ("bob", "main", None)] == seen


async def enter(connecting):
    return await connecting


@live
async def test_a_login_is_revoked_while_its_hook_thinks():
    asked, answer = asyncio.Event(), asyncio.Event()

    async def hook(request):
        asked.set()
        await answer.wait()
        return True

    async with serve(authenticate=hook) as server:
        connecting = asyncio.create_task(enter(login(server, "alice")))
        await asked.wait()
        assert 1 == await server.revoke("alice")
        answer.set()
        with pytest.raises(udpim.LoginError, match="access was revoked"):
            await connecting
        assert 0 == server.stats()["sessions"]
