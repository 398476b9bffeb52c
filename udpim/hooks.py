"""The server's hooks: what a program decides for it, as a function or a coroutine function.

Flow: node → effect → hook → answer → node. A hook that raises is logged and answered for, so that
nobody waits for it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from udpim.im.group_desk import GroupRequest
from udpim.node.effects import Authenticate, AuthorizeGroup, MaySee, NotifyOffline

REASON_BYTES_MAX = 255
"""What a refusal has room for."""

logger = logging.getLogger("udpim")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """Who wants to log in.

    Attributes:
        user: The name that is claimed.
        device: The device of theirs.
        token: What is offered as proof.
    """

    user: str
    device: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceRequest:
    """Who wants to know of whom.

    Attributes:
        user: Who asks.
        device: On which device.
        subject: The user whose devices they want to see; whether there is one, nobody has said.
    """

    user: str
    device: str
    subject: str


Verdict = bool | str
"""True says yes; False, or a reason in words, says no."""
AuthenticateHook = Callable[[LoginRequest], Verdict | Awaitable[Verdict]]
MembershipHook = Callable[[GroupRequest], Verdict | Awaitable[Verdict]]
OfflineHook = Callable[[NotifyOffline], Awaitable[object] | object]
MaySeeHook = Callable[[PresenceRequest], Verdict | Awaitable[Verdict]]
KnownUserHook = Callable[[str], bool]


class Answers(Protocol):
    """Takes what the hooks say to the node."""

    def authenticated(self, token: int, refusal: str | None, *, busy: bool) -> None:
        """Take the verdict on a login."""

    def may_see(self, token: int, *, allowed: bool) -> None:
        """Take the verdict on a question about presence."""

    def authorize_group(self, token: int, *, allowed: bool | None) -> None:
        """Take the verdict on a request about groups; None: ask again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookChoice:
    """What a program has given.

    Attributes:
        authenticate: Decides on a login; None lets everybody in.
        on_offline: Told when messages were stored for a device that is away.
        membership: Decides on requests about groups; None: `GroupDesk.allowed_by_default`.
        known_user: Whether a user who never logged in exists.
        may_see: Decides who may know who is there; None: everybody of themselves.
    """

    authenticate: AuthenticateHook | None = None
    on_offline: OfflineHook | None = None
    membership: MembershipHook | None = None
    known_user: KnownUserHook | None = None
    may_see: MaySeeHook | None = None


class Hooks:
    """Runs the hooks of one server at work."""

    def __init__(self, choice: HookChoice, answers: Answers) -> None:
        """Run these hooks, and give what they say to ``answers``."""
        self._choice = choice
        self._answers = answers
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def handlers(self) -> dict[type, Callable[[Any], None]]:
        """Return who carries out which effect."""
        return {
            Authenticate: self._on_authenticate,
            AuthorizeGroup: self._on_authorize_group,
            MaySee: self._on_may_see,
            NotifyOffline: self._on_notify,
        }

    def cancel(self) -> None:
        """Wait for no hook any more."""
        for task in self._tasks:
            task.cancel()

    def __len__(self) -> int:
        """Return how many are at work."""
        return len(self._tasks)

    # --- Who exists ---

    def is_known(self, user: str) -> bool:
        """Tell whether a user who never logged in exists."""
        if self._choice.known_user is None:
            return False
        try:
            return bool(self._choice.known_user(user))
        except Exception:
            # Unsure: "no" would reject the message for good, "yes" makes its sender wait.
            logger.exception("the known_user hook failed")
            return True

    # --- Logins ---

    def _on_authenticate(self, request: Authenticate) -> None:
        hook = self._choice.authenticate
        if hook is None:
            self._let_in(request.token, True)
            return
        try:
            login = LoginRequest(
                user=request.endpoint.user,
                device=request.endpoint.device,
                token=request.secret.decode(),
            )
        except UnicodeDecodeError:
            self._let_in(request.token, "the token is not UTF-8")
            return
        try:
            verdict = hook(login)
        except Exception:
            self._on_broken_authenticate(request.token)
            return
        if inspect.isawaitable(verdict):
            self._spawn(self._authenticate_later(request.token, verdict))
        else:
            self._let_in(request.token, verdict)

    async def _authenticate_later(self, token: int, answer: Awaitable[Verdict]) -> None:
        try:
            verdict = await answer
        except Exception:
            self._on_broken_authenticate(token)
        else:
            self._let_in(token, verdict)

    def _on_broken_authenticate(self, token: int) -> None:
        logger.exception("the authenticate hook failed")
        self._let_in(token, "authentication failed to run", busy=True)

    def _let_in(self, token: int, verdict: Verdict, *, busy: bool = False) -> None:
        reason = verdict if isinstance(verdict, str) else "wrong credentials"
        fitting = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
        self._answers.authenticated(token, None if verdict is True else fitting, busy=busy)

    # --- Groups ---

    def _on_authorize_group(self, question: AuthorizeGroup) -> None:
        hook = self._choice.membership
        if hook is None:
            self._answers.authorize_group(question.token, allowed=question.allowed)
            return
        try:
            verdict = hook(question.request)
        except Exception:
            self._on_broken_membership(question)
            return
        if inspect.isawaitable(verdict):
            self._spawn(self._authorize_later(question, verdict))
        else:
            self._authorize(question, verdict)

    async def _authorize_later(self, question: AuthorizeGroup, answer: Awaitable[Verdict]) -> None:
        try:
            verdict = await answer
        except Exception:
            self._on_broken_membership(question)
        else:
            self._authorize(question, verdict)

    def _on_broken_membership(self, question: AuthorizeGroup) -> None:
        logger.exception("the membership hook failed")
        self._answers.authorize_group(question.token, allowed=None)

    def _authorize(self, question: AuthorizeGroup, verdict: Verdict) -> None:
        if isinstance(verdict, str):
            logger.info("%s is not allowed: %s", question.request, verdict)
        self._answers.authorize_group(question.token, allowed=verdict is True)

    # --- Presence ---

    def _on_may_see(self, question: MaySee) -> None:
        hook = self._choice.may_see
        (user, device), subject = question.endpoint, question.subject
        if hook is None:
            # Who is online when is nobody's business until a program says whose.
            self._answers.may_see(question.token, allowed=user == subject)
            return
        try:
            verdict = hook(PresenceRequest(user=user, device=device, subject=subject))
        except Exception:
            self._on_broken_may_see(question)
            return
        if inspect.isawaitable(verdict):
            self._spawn(self._may_see_later(question, verdict))
        else:
            self._may_see(question, verdict)

    async def _may_see_later(self, question: MaySee, answer: Awaitable[Verdict]) -> None:
        try:
            verdict = await answer
        except Exception:
            self._on_broken_may_see(question)
        else:
            self._may_see(question, verdict)

    def _on_broken_may_see(self, question: MaySee) -> None:
        logger.exception("the may_see hook failed")
        self._answers.may_see(question.token, allowed=False)

    def _may_see(self, question: MaySee, verdict: Verdict) -> None:
        if isinstance(verdict, str):
            logger.info("%s may not see %r: %s", question.endpoint, question.subject, verdict)
        self._answers.may_see(question.token, allowed=verdict is True)

    # --- Who is away ---

    def _on_notify(self, notice: NotifyOffline) -> None:
        hook = self._choice.on_offline
        if hook is None:
            return
        try:
            result = hook(notice)
        except Exception:
            logger.exception("the on_offline hook failed")
            return
        if inspect.isawaitable(result):
            self._spawn(self._notify_later(result))

    async def _notify_later(self, result: Awaitable[object]) -> None:
        try:
            await result
        except Exception:
            logger.exception("the on_offline hook failed")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
