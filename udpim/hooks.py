"""The server's hooks: what a program decides for it, as a function or a coroutine function.

Flow: node → effect → hook → answer → node. A hook that raises is logged and answered for, so that
nobody waits for it. A plain function is answered for at once, without a task.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from udpim.im.group_desk import GroupRequest
from udpim.inspecting import Inspecting, MessageHook, MessageVerdict, Verdict
from udpim.node.effects import (
    Authenticate,
    AuthorizeGroup,
    Inspect,
    MaySee,
    MaySend,
    NotifyOffline,
    Verdicts,
)
from udpim.node.link import Proof
from udpim.runtime.keys import format_key

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
        key: The device's public key, which it has proved to own: base64 as `udpim key` prints it;
            None in plain text, where nothing proves anything.
    """

    user: str
    device: str
    token: str = field(repr=False)
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """By what a session was admitted, or a login on its way is to be.

    Attributes:
        user: Who it is.
        device: On which device.
        token_sha256: Digest of the token, in hex; the token itself is not kept.
        key: The device's public key, as in `LoginRequest`.
    """

    user: str
    device: str
    token_sha256: str
    key: str | None

    @classmethod
    def by(cls, proof: Proof) -> Self:
        """Return it as programs see it."""
        (user, device), token_sha256, key = proof
        return cls(
            user=user,
            device=device,
            token_sha256=token_sha256.hex(),
            key=None if key is None else format_key(key),
        )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """Who wants to write where.

    Attributes:
        user: Who sends, as the login has proved.
        device: From which device.
        conversation: A user's name, or a group's with the mark "#".
    """

    user: str
    device: str
    conversation: str


AuthenticateHook = Callable[[LoginRequest], Verdict | Awaitable[Verdict]]
MembershipHook = Callable[[GroupRequest], Verdict | Awaitable[Verdict]]
OfflineHook = Callable[[NotifyOffline], Awaitable[object] | object]
MaySeeHook = Callable[[PresenceRequest], Verdict | Awaitable[Verdict]]
MaySendHook = Callable[[SendRequest], Verdict | Awaitable[Verdict]]
KnownUserHook = Callable[[str], bool]


class Answers(Protocol):
    """Takes what the hooks say to the node."""

    def authenticated(self, token: int, refusal: str | None, *, busy: bool) -> None:
        """Take the verdict on a login."""

    def may_see(self, token: int, *, allowed: bool) -> None:
        """Take the verdict on a question about presence."""

    def authorize_group(self, token: int, *, allowed: bool | None) -> None:
        """Take the verdict on a request about groups; None: ask again later."""

    def may_send(self, token: int, *, allowed: bool | None) -> None:
        """Take the verdict on who may write where; None: ask again later."""

    def inspected(self, token: int, verdicts: Verdicts) -> None:
        """Take the verdicts on messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookChoice:
    """What a program has given. All hooks but ``known_user`` may be coroutine functions.

    Attributes:
        authenticate: Decides on a login. If it raises, the client is told to come again later
            (BUSY), and the error is logged. None lets everybody in.
        on_offline: Told when messages were stored for a device that is away: the place for a push
            service.
        membership: Decides on requests about groups. If it raises, the client is told to come again
            later. None: everybody may create a group, join, leave, and list their own; members may
            add others and list a group's; the creator may remove others.
        known_user: Whether a user who never logged in exists; such a recipient's messages wait at
            their senders, anybody else's are REJECTED. None: only who has logged in exists.
        may_see: Decides whether somebody may know which devices of a user are online. None:
            everybody of themselves, and nobody of others. A reason in words is logged and goes no
            further; a hook that raises is a no.
        may_send: Decides whether a device may write to a conversation. Asked for its first message,
            and a minute later again. If it raises, the messages come again later; what it says no
            to is REJECTED as FORBIDDEN. None: everybody may write everywhere.
        on_message: Decides on each message before it is routed, see `MessageHook`. None: all pass,
            and nothing is asked.
    """

    authenticate: AuthenticateHook | None = None
    on_offline: OfflineHook | None = None
    membership: MembershipHook | None = None
    known_user: KnownUserHook | None = None
    may_see: MaySeeHook | None = None
    may_send: MaySendHook | None = None
    on_message: MessageHook | None = None

    def asks(self) -> list[type]:
        """Return the effects that a node has to wait for before it routes messages."""
        given = ((MaySend, self.may_send), (Inspect, self.on_message))
        return [effect for effect, hook in given if hook is not None]


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
            Inspect: self._on_inspect,
            MaySee: self._on_may_see,
            MaySend: self._on_may_send,
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
                key=None if request.key is None else format_key(request.key),
            )
        except UnicodeDecodeError:
            self._let_in(request.token, "the token is not UTF-8")
            return
        token = request.token
        self._ask(
            "authenticate",
            lambda: hook(login),
            lambda verdict: self._let_in(token, verdict),
            lambda: self._let_in(token, "authentication failed to run", busy=True),
        )

    def _let_in(self, token: int, verdict: Verdict, *, busy: bool = False) -> None:
        reason = verdict if isinstance(verdict, str) else "wrong credentials"
        fitting = reason.encode(errors="replace")[:REASON_BYTES_MAX].decode(errors="ignore")
        self._answers.authenticated(token, None if verdict is True else fitting, busy=busy)

    # --- Groups ---

    def _on_authorize_group(self, question: AuthorizeGroup) -> None:
        hook = self._choice.membership
        if hook is None:
            self._answers.authorize_group(question.token, allowed=question.allowed)
            return
        self._ask(
            "membership",
            lambda: hook(question.request),
            lambda verdict: self._authorize(question, verdict),
            lambda: self._answers.authorize_group(question.token, allowed=None),
        )

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
        self._ask(
            "may_see",
            lambda: hook(PresenceRequest(user=user, device=device, subject=subject)),
            lambda verdict: self._may_see(question, verdict),
            lambda: self._answers.may_see(question.token, allowed=False),
        )

    def _may_see(self, question: MaySee, verdict: Verdict) -> None:
        if isinstance(verdict, str):
            logger.info("%s may not see %r: %s", question.endpoint, question.subject, verdict)
        self._answers.may_see(question.token, allowed=verdict is True)

    # --- Messages ---

    def _on_may_send(self, question: MaySend) -> None:
        hook = self._choice.may_send
        assert hook is not None, "only then there are questions"
        (user, device), conversation = question.endpoint, question.conversation
        self._ask(
            "may_send",
            lambda: hook(SendRequest(user=user, device=device, conversation=conversation)),
            lambda verdict: self._may_send(question, verdict),
            lambda: self._answers.may_send(question.token, allowed=None),
        )

    def _may_send(self, question: MaySend, verdict: Verdict) -> None:
        if isinstance(verdict, str):
            logger.info(
                "%s may not write to %r: %s", question.endpoint, question.conversation, verdict
            )
        self._answers.may_send(question.token, allowed=verdict is True)

    def _on_inspect(self, question: Inspect) -> None:
        hook = self._choice.on_message
        assert hook is not None, "only then there are questions"
        inspecting = Inspecting(hook, question)
        answer = inspecting.go_on()
        if answer is None:
            self._inspected(question.token, inspecting)
        else:
            self._spawn(self._inspect_later(question.token, inspecting, answer))

    async def _inspect_later(
        self, token: int, inspecting: Inspecting, answer: Awaitable[MessageVerdict]
    ) -> None:
        await inspecting.finish(answer)
        self._inspected(token, inspecting)

    def _inspected(self, token: int, inspecting: Inspecting) -> None:
        self._answers.inspected(token, inspecting.verdicts)

    # --- Who is away ---

    def _on_notify(self, notice: NotifyOffline) -> None:
        hook = self._choice.on_offline
        if hook is None:
            return
        self._ask("on_offline", lambda: hook(notice), lambda result: None, lambda: None)

    # --- Any of them ---

    def _ask(
        self,
        name: str,
        hook: Callable[[], Any],
        give: Callable[[Any], None],
        on_broken: Callable[[], None],
    ) -> None:
        """Call a hook; ``give`` its word on, now or later, or say that it is broken."""
        try:
            answer = hook()
        except Exception:
            logger.exception("the %s hook failed", name)
            on_broken()
            return
        if inspect.isawaitable(answer):
            self._spawn(self._give_later(name, answer, give, on_broken))
        else:
            give(answer)

    async def _give_later(
        self,
        name: str,
        answer: Awaitable[Any],
        give: Callable[[Any], None],
        on_broken: Callable[[], None],
    ) -> None:
        try:
            word = await answer
        except Exception:
            logger.exception("the %s hook failed", name)
            on_broken()
        else:
            give(word)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
