"""Who waits for the answers to a client's questions: about groups, and about who is there.

Flow: a method of the client → question at the node → answer → node → `Asking` → whoever waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic

from udpim.errors import Error
from udpim.im.inquiries import Answer, Question, Questions


class Asking(Generic[Question, Answer]):
    """The questions of one kind that somebody waits for."""

    def __init__(self, questions: Questions[Question, Answer], wake: Callable[[], None]) -> None:
        """Wait for answers to these; ``wake`` has what was asked carried out."""
        self._questions: Questions[Question, Answer] = questions
        self._wake = wake
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._error: Error | None = None

    async def ask(self, begin: Callable[[], int]) -> Answer:
        """Begin a question and wait for its answer.

        Args:
            begin: Asks the node, and returns the question's number.

        Raises:
            Error: The client was closed or has ended, or what ``begin`` raises.
        """
        if self._error is not None:
            raise self._error
        number = begin()
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._wake()
        try:
            return await self._waiting[number]
        finally:
            del self._waiting[number]
            self._questions.forget(number)

    def answered(self, answers: Sequence[Answer]) -> None:
        """Take what the node got."""
        for answer in answers:
            future = self._waiting.get(answer.request)
            if future is not None and not future.done():
                future.set_result(answer)

    def end(self, error: Error) -> None:
        """Nobody will answer any more."""
        self._error = error
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
