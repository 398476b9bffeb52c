"""The server's hooks without a server; with one they are in test_server.py."""

import asyncio
from dataclasses import replace

import pytest

from tests.runtime.helpers import live, until
from udpim.hooks import REASON_BYTES_MAX, HookChoice, Hooks, PresenceRequest, SendRequest
from udpim.model import Endpoint, StreamId
from udpim.node.effects import Authenticate, Inspect, MaySee, MaySend, NotifyOffline
from udpim.wire.im_codec import encode_section

ASK = Authenticate(token=7, endpoint=Endpoint("alice", "phone"), secret=b"token")
NOTICE = NotifyOffline(
    endpoint=Endpoint("bob", "phone"), stream=StreamId("alice", "phone", 1, "bob"), first=1, last=2
)


class Node:
    """Takes the answers."""

    def __init__(self):
        self.answers = []

    def may_see(self, token, *, allowed):
        self.answers.append((token, allowed))

    def may_send(self, token, *, allowed):
        self.answers.append((token, allowed))

    def inspected(self, token, verdicts):
        self.answers.append((token, *verdicts))

    def authenticated(self, token, refusal, *, busy):
        self.answers.append((token, refusal, busy))


def run(effect, **choice):
    node = Node()
    hooks = Hooks(HookChoice(**choice), node)
    hooks.handlers()[type(effect)](effect)
    return node, hooks


def later(answer):
    async def hook(*given):
        await asyncio.sleep(0)
        return answer

    return hook


@pytest.mark.parametrize("wrap", [lambda v: lambda login: v, later], ids=["function", "coroutine"])
@pytest.mark.parametrize(
    ("verdict", "refusal"),
    [
        (True, None),
        (False, "wrong credentials"),
        ("not today", "not today"),
        ("ж" * 200, "ж" * (REASON_BYTES_MAX // 2)),
    ],
)
@live
async def test_the_hooks_verdict_reaches_the_node(wrap, verdict, refusal):
    node, _ = run(ASK, authenticate=wrap(verdict))
    await until(lambda: node.answers)
    assert [(7, refusal, False)] == node.answers


@live
async def test_without_a_hook_everybody_is_let_in_and_a_token_is_text():
    node, _ = run(ASK)
    assert [(7, None, False)] == node.answers
    odd = Authenticate(token=8, endpoint=ASK.endpoint, secret=b"\xff")
    node, _ = run(odd, authenticate=lambda login: True)
    assert [(8, "the token is not UTF-8", False)] == node.answers


@pytest.mark.parametrize(("key", "text"), [(b"k" * 32, "a2tr" * 10 + "a2s="), (None, None)])
@live
async def test_the_hook_sees_the_key_that_the_device_has_proved_to_own(key, text):
    seen = []
    run(replace(ASK, key=key), authenticate=lambda login: bool(seen.append(login)))
    (login,) = seen
    assert ("alice", "phone", "token", text) == (login.user, login.device, login.token, login.key)


@pytest.mark.parametrize("wait", [False, True])
@live
async def test_a_hook_that_raises_is_logged_and_answered_for(wait, caplog):
    async def broken_later(login):
        raise ZeroDivisionError

    def broken(login):
        raise ZeroDivisionError

    node, _ = run(ASK, authenticate=broken_later if wait else broken)
    await until(lambda: node.answers)
    assert [(7, "authentication failed to run", True)] == node.answers
    assert "the authenticate hook failed" in caplog.text


def question(subject="bob"):
    return MaySee(token=9, endpoint=Endpoint("alice", "phone"), subject=subject)


@pytest.mark.parametrize("wrap", [lambda v: lambda asked: v, later], ids=["function", "coroutine"])
@pytest.mark.parametrize(("verdict", "allowed"), [(True, True), (False, False), ("no", False)])
@live
async def test_who_may_see_is_the_hooks_word_and_its_reason_is_logged(
    wrap, verdict, allowed, caplog
):
    caplog.set_level("INFO")
    node, _ = run(question(), may_see=wrap(verdict))
    await until(lambda: node.answers)
    assert [(9, allowed)] == node.answers
    assert ("alice/phone may not see 'bob': no" in caplog.text) == (verdict == "no")


@live
async def test_the_hook_learns_who_asks_of_whom():
    asked = []
    run(question(), may_see=asked.append)
    assert [PresenceRequest(user="alice", device="phone", subject="bob")] == asked


@live
async def test_without_a_hook_users_see_themselves_only():
    assert [(9, False)] == run(question())[0].answers
    assert [(9, True)] == run(question("alice"))[0].answers


@pytest.mark.parametrize("wait", [False, True])
@live
async def test_a_may_see_hook_that_raises_is_a_no(wait, caplog):
    async def broken_later(asked):
        raise ZeroDivisionError

    def broken(asked):
        raise ZeroDivisionError

    node, _ = run(question(), may_see=broken_later if wait else broken)
    await until(lambda: node.answers)
    assert [(9, False)] == node.answers
    assert "the may_see hook failed" in caplog.text


WRITE = MaySend(token=4, endpoint=Endpoint("alice", "phone"), conversation="#team")


@pytest.mark.parametrize("wrap", [lambda v: lambda asked: v, later], ids=["function", "coroutine"])
@pytest.mark.parametrize(("verdict", "allowed"), [(True, True), (False, False), ("no", False)])
@live
async def test_who_may_write_is_the_hooks_word_and_its_reason_is_logged(
    wrap, verdict, allowed, caplog
):
    caplog.set_level("INFO")
    node, _ = run(WRITE, may_send=wrap(verdict))
    await until(lambda: node.answers)
    assert [(4, allowed)] == node.answers
    assert ("alice/phone may not write to '#team': no" in caplog.text) == (verdict == "no")


@live
async def test_a_may_send_hook_learns_who_writes_where_and_decides_nothing_when_it_raises(caplog):
    asked = []

    def hook(request):
        asked.append(request)
        raise ZeroDivisionError

    node, _ = run(WRITE, may_send=hook)
    assert [SendRequest(user="alice", device="phone", conversation="#team")] == asked
    assert [(4, None)] == node.answers
    assert "the may_send hook failed" in caplog.text


@pytest.mark.parametrize(
    "wrap", [lambda v: lambda message: v, later], ids=["function", "coroutine"]
)
@live
async def test_messages_are_the_hooks_to_reject(wrap):
    section = encode_section(5, [0, 0], [b"a", b"b"])
    question = Inspect(token=6, stream=NOTICE.stream, section=section, ranges=((5, 6),))
    node, _ = run(question, on_message=wrap(False))
    await until(lambda: node.answers)
    assert [(6, [(5, 5), (6, 6)], [], {})] == node.answers


@live
async def test_a_notice_reaches_its_hook_and_hooks_at_work_are_counted_and_cancelled():
    told, gate = [], asyncio.Event()

    async def slow(notice):
        told.append(notice)
        await gate.wait()

    _, hooks = run(NOTICE, on_offline=slow)
    await until(lambda: told)
    assert ([NOTICE], 1) == (told, len(hooks))
    hooks.cancel()
    await until(lambda: not len(hooks))
    run(NOTICE)
    run(NOTICE, on_offline=told.append)
    assert [NOTICE, NOTICE] == told


@live
async def test_who_exists_is_the_programs_word_and_unsure_means_yes(caplog):
    def known(**choice):
        return Hooks(HookChoice(**choice), Node()).is_known("bob")

    def broken(user):
        raise ZeroDivisionError

    assert [False, True, True] == [
        known(),
        known(known_user=lambda user: user == "bob"),
        known(known_user=broken),
    ]
    assert "the known_user hook failed" in caplog.text
