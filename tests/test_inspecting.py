"""A run before the on_message hook: each message once, in order, and none left undecided."""

import asyncio

import pytest

import udpim
from tests.runtime.helpers import live
from udpim.inspecting import Inspecting, OfferedMessage, Reroute
from udpim.model import MsgId, StreamId
from udpim.node.effects import Inspect
from udpim.wire.im_codec import encode_section

STREAM = StreamId("alice", "phone", 1, "bob")
PAYLOADS = [b"a", b"b", b"c", b"d", b"e"]
RUN = Inspect(
    token=3,
    stream=STREAM,
    section=encode_section(11, [7, 8, 9, 10, 11], PAYLOADS),
    ranges=((11, 12), (14, 15)),
)


def test_the_hook_sees_what_was_asked_of_it_and_nothing_else():
    seen = []
    inspecting = Inspecting(seen.append, RUN)
    assert inspecting.go_on() is None
    assert [b"a", b"b", b"d", b"e"] == [message.payload for message in seen]
    assert seen[2] == OfferedMessage(
        sender="alice",
        device="phone",
        conversation="bob",
        msgid=MsgId(STREAM, 14),
        payload=b"d",
        stamp=10,
    )
    assert "payload" not in repr(seen[2])
    assert ([], [], {}) == inspecting.verdicts


@pytest.mark.parametrize(
    ("verdict", "rejected"),
    [(None, []), (True, []), (False, [(12, 12)]), ("words", [(12, 12)]), (0, [(12, 12)])],
)
def test_none_and_true_let_pass_and_a_reason_is_logged(verdict, rejected, caplog):
    caplog.set_level("INFO")
    inspecting = Inspecting(lambda message: verdict if message.payload == b"b" else None, RUN)
    assert inspecting.go_on() is None
    assert rejected == inspecting.verdicts.rejected
    assert ("alice/phone→bob#12 is rejected: words" in caplog.text) == (verdict == "words")


@live
async def test_functions_and_coroutines_may_take_turns_and_either_may_raise(caplog):
    running = 0

    async def later(payload):
        nonlocal running
        running += 1
        assert running == 1, "one after the other"
        await asyncio.sleep(0)
        running -= 1
        if payload == b"d":
            raise ZeroDivisionError
        return payload != b"b"

    def hook(message):
        if message.payload == b"a":
            raise ZeroDivisionError
        return True if message.payload == b"e" else later(message.payload)

    inspecting = Inspecting(hook, RUN)
    await inspecting.finish(inspecting.go_on())
    assert ([(12, 12)], [(11, 11), (14, 14)], {}) == inspecting.verdicts
    assert 2 == caplog.text.count("the on_message hook failed")


def test_what_is_for_somebody_else_is_sorted_by_whom_it_is_for():
    names = {b"a": "carol", b"d": "#group", b"e": "carol"}

    def hook(message):
        name = names.get(message.payload)
        return None if name is None else Reroute(to=name)

    inspecting = Inspecting(hook, RUN)
    assert inspecting.go_on() is None
    assert ([], [], {"carol": [(11, 11), (15, 15)], "#group": [(14, 14)]}) == inspecting.verdicts


@pytest.mark.parametrize("name", ["", "#", "x" * 33, "a\0b"])
def test_nobody_can_have_such_a_name_and_a_hook_that_gives_it_has_failed(name):
    with pytest.raises(udpim.ConfigError):
        Reroute(to=name)
    inspecting = Inspecting(lambda message: Reroute(to=name), RUN)
    assert inspecting.go_on() is None
    assert 4 == len(inspecting.verdicts.failed)
