"""A run of messages before the program's on_message hook.

Flow: node → `Inspect` effect → one call for each message, in order → the seqs that must not pass,
or that somebody else is to get.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from udpim.model import MsgId
from udpim.node.effects import Inspect, Verdicts
from udpim.runtime.settings import check_recipient
from udpim.wire.im_codec import section_messages

logger = logging.getLogger("udpim")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedMessage:
    """A message that the server was given and has not routed.

    Attributes:
        sender: The user who sent it, as the login has proved.
        device: From which device.
        conversation: A user's name, or a group's with the mark "#".
        msgid: Its identity for ever; a copy that is sent again has the same one.
        payload: What was sent.
        stamp: The sender's hybrid clock: milliseconds since 1970, times 65536, and a counter.
    """

    sender: str
    device: str
    conversation: str
    msgid: MsgId
    payload: bytes = field(repr=False)
    stamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reroute:
    """The on_message hook's word that a message is for somebody else.

    Its sender is told, and sends it there as a new message, so that each receipt is about what was
    sent to whom; `udpim.Receipt.rerouted` leads from one to the other. The hook gets it anew.

    Attributes:
        to: A user's name, or a group's with the mark "#".
    """

    to: str

    def __post_init__(self) -> None:
        """Refuse what is no name.

        Raises:
            ConfigError: If no user or group can have it.
        """
        check_recipient(self.to)


Verdict = bool | str
"""True says yes; False, or a reason in words, says no."""
MessageVerdict = Verdict | Reroute | None
MessageHook = Callable[[OfferedMessage], MessageVerdict | Awaitable[MessageVerdict]]
"""Decides on one message; may be a coroutine function.

None and True let it pass; False or a reason in words, which is logged, rejects it as FORBIDDEN; a
`Reroute` has its sender send it to somebody else, four times in a row at most. If the hook raises,
the message comes again later (BUSY). It gets the messages of one stream one after the other, and
may be asked again about a message that it has decided on, after a crash for instance: what it does
beside answering is to be keyed by the msgid.
"""


class Inspecting:
    """A run of messages before the on_message hook, which gets them one after the other."""

    def __init__(self, hook: MessageHook, question: Inspect) -> None:
        """Begin with the first one."""
        self._hook = hook
        stream, section = question.stream, question.section
        stamps, payloads = section_messages(section)
        self._todo = deque(
            OfferedMessage(
                sender=stream.user,
                device=stream.device,
                conversation=stream.conversation,
                msgid=MsgId(stream, seq),
                payload=payloads[seq - section.first],
                stamp=stamps[seq - section.first],
            )
            for first, last in question.ranges
            for seq in range(first, last + 1)
        )
        self.verdicts = Verdicts([], [], {})

    def go_on(self) -> Awaitable[MessageVerdict] | None:
        """Ask until an answer has to be awaited; None when all are given."""
        while self._todo:
            try:
                answer = self._hook(self._todo[0])
            except Exception:
                self._fail()
                continue
            if inspect.isawaitable(answer):
                return answer
            self._note(answer)
        return None

    async def finish(self, answer: Awaitable[MessageVerdict] | None) -> None:
        """Await this answer, and whatever others there will be."""
        while answer is not None:
            try:
                self._note(await answer)
            except Exception:
                self._fail()
            answer = self.go_on()

    def _note(self, verdict: MessageVerdict) -> None:
        message = self._todo.popleft()
        if verdict is None or verdict is True:
            return
        if isinstance(verdict, Reroute):
            seq = message.msgid.seq
            self.verdicts.rerouted.setdefault(verdict.to, []).append((seq, seq))
            return
        if isinstance(verdict, str):
            logger.info("%s is rejected: %s", message.msgid, verdict)
        self.verdicts.rejected.append((message.msgid.seq, message.msgid.seq))

    def _fail(self) -> None:
        seq = self._todo.popleft().msgid.seq
        logger.exception("the on_message hook failed")
        self.verdicts.failed.append((seq, seq))
