"""A run before the on_message hook: each message once, in order, and none left undecided."""

import asyncio

import pytest

from tests.runtime.helpers import live
from udpim.inspecting import Inspecting, OfferedMessage
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
    assert ([], []) == (inspecting.rejected, inspecting.failed)


@pytest.mark.parametrize(
    ("verdict", "rejected"),
    [(None, []), (True, []), (False, [(12, 12)]), ("words", [(12, 12)]), (0, [(12, 12)])],
)
def test_none_and_true_let_pass_and_a_reason_is_logged(verdict, rejected, caplog):
    caplog.set_level("INFO")
    inspecting = Inspecting(lambda message: verdict if message.payload == b"b" else None, RUN)
    assert inspecting.go_on() is None
    assert rejected == inspecting.rejected
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
    assert ([(12, 12)], [(11, 11), (14, 14)]) == (inspecting.rejected, inspecting.failed)
    assert 2 == caplog.text.count("the on_message hook failed")
