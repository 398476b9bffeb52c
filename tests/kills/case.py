"""One case: a scenario among three roles, one of which dies at one point and comes back.

The scenario gives commands and waits for goals; meanwhile whoever dies is started again on the
same files, without a trap, and brought back to where it was. What a goal waits for are lines of
the runners, never time.
"""

import asyncio
import signal
import time
from contextlib import suppress

from tests.kills import disk
from tests.kills.judge import FINAL, Facts
from tests.kills.process import Process
from tests.kills.runner import POISON
from udpim.config import E2E_TIMER_S_MAX, E2E_TIMER_S_MIN

GOAL_S_MAX = 25.0
"""A goal that takes longer is never reached; far beyond every bound."""
RESTART_S = 2.0
"""How soon the exchange goes on after a restart, not counting the end-to-end timer."""

SENDER, SERVER, RECIPIENT = ROLES = ("sender", "server", "recipient")


def end_to_end_timer_s(age_s):
    """The end-to-end timer of a message that first left ``age_s`` ago (PROTOCOL §6).

    It is 3 s at first and doubles at each re-send, so re-sends fall due 3, 9, 21 … s after the
    first transmission; a process that dies forgets it and begins anew.
    """
    interval_s, due_s = E2E_TIMER_S_MIN, E2E_TIMER_S_MIN
    while due_s < age_s:
        interval_s = min(E2E_TIMER_S_MAX, 2 * interval_s)
        due_s += interval_s
    return interval_s


class Stuck(AssertionError):
    """A goal was not reached."""


class Role:
    """One of the three, over all its processes."""

    def __init__(self, name, who, folder):
        self.name = name
        self.who = who
        self.store = str(folder / f"{who}.db")
        self.journal = str(folder / f"{who}.log")
        self.process = None
        self.lives = 0
        self.wanted = False
        self.open = False


class Case:
    """The state of one case, as its parent knows it."""

    def __init__(self, name, folder, stage, point=None, *, hasty=False, patience_s=GOAL_S_MAX):
        self.name = name
        self.folder = folder
        self.point = point
        self.roles = {role: Role(role, f"{name}-{role}", folder) for role in ROLES}
        self.facts = Facts()
        self.recovery_s = None
        self.bound_s = None
        self.problems = []
        self._stage = stage
        self._hasty = hasty
        self._patience_s = patience_s
        self._port = 0
        self._inspects = False
        self._ready_at_s = None
        self._changed = asyncio.Event()
        self._restarts = set()
        self._numbers = 0
        self._answers = 0
        self._given_up = {}  # seq → whether by cancelling, which a crash may forget
        self._sent_at_s = {}

    # --- Processes ---

    def _is_victim(self, role):
        return self.point is not None and self.point.role == role.name

    async def start(self, *, inspects=False):
        """Give each role its process, the victim one of its own, and let the server listen.

        Args:
            inspects: Whether the server has hooks that look at every message, and let it pass.
        """
        self._inspects = inspects
        for role in self.roles.values():
            if self._is_victim(role):
                role.process = await self._spawn_victim(role)
            elif self.point is None:
                role.process = await self._spawn(role)
            else:
                role.process = self._stage.processes[role.name]
            self._listen(role)
        await self.open(SERVER)

    async def _spawn_victim(self, role):
        trap = {"target": self.point.effect, "phase": self.point.phase}
        return await self._spawn(role, **trap, hasty=self._hasty)

    async def _spawn(self, role, **options):
        role.lives += 1
        process = Process(self._stage.nursery, self.folder, f"{role.who}-{role.lives}", **options)
        return await process.start()

    def _listen(self, role):
        role.process.listen(role.who, self._heard, lambda: self._died(role))
        if role.name != SENDER:  # what becomes durable is addressed to the sender
            role.process.listen(self.roles[SENDER].who, self._heard, lambda: None)

    def _own(self, role):
        return self.point is None or self._is_victim(role)

    def _open(self, role):
        """Bring a role to work in its present process."""
        fields = {"store": role.store, "journal": role.journal, "port": self._port}
        if role.name == SERVER:
            role.process.command("serve", role.who, inspects=self._inspects, **fields)
        else:
            role.process.command("open", role.who, **fields)

    def _close(self, role):
        role.process.command("stop" if role.name == SERVER else "close", role.who)

    def _died(self, role):
        role.open = False
        self._changed.set()
        if role.process.returncode != 0:
            restart = asyncio.create_task(self._restart(role))
            self._restarts.add(restart)
            restart.add_done_callback(self._restarted)

    def _restarted(self, restart):
        self._restarts.discard(restart)
        if not restart.cancelled() and (error := restart.exception()) is not None:
            self.problems.append(f"the restart failed: {error!r}")
        self._changed.set()

    async def _restart(self, role):
        """Look at what the dead one left, then start it again without a trap."""
        if role.process.returncode != -signal.SIGKILL or role.process.last_words is None:
            self.problems.append(f"{role.who} died by itself: {role.process.complaints()}")
        self._look(role)
        role.process = await self._spawn(role)
        self._listen(role)
        if role.wanted:
            self._open(role)
            if role.name != SERVER:  # a server is ready when it listens
                self._ready(role.process.up_at_s)

    def _ready(self, at_s):
        if self._ready_at_s is None and self.recovery_s is None:
            self._ready_at_s = at_s
            open_since_s = [s for seq, s in self._sent_at_s.items() if not self.final(seq)]
            lives_on = self.point.role != SENDER
            age_s = at_s - min(open_since_s, default=at_s) if lives_on else 0.0
            self.bound_s = RESTART_S + end_to_end_timer_s(age_s)
        self._changed.set()

    def _look(self, role):
        """Take over what the file of a dead process holds."""
        now_s = time.monotonic()
        if role.name == RECIPIENT:
            self.facts.durable("inbox", [row.seq for row in disk.inbox(role.store)], now_s)
        elif role.name == SERVER:
            self.facts.queued.clear()
            for what, void in (("queue", False), ("void", True)):
                seqs = [seq for _, seq, is_void in disk.queue(role.store) if is_void is void]
                self.facts.durable(what, seqs, now_s)
        else:
            outbox = disk.outbox(role.store)
            self.facts.taken(outbox.messages)
            for seq in outbox.excused:
                self.facts.states[seq] = "EXCUSED"
            for seq in outbox.stored:
                self.facts.states[seq] = "STORED"
            for seq in outbox.cancelled:
                self.facts.states[seq] = "UNKNOWN"
            for seq in outbox.void:
                self.facts.states[seq] = "VOID"
            for seq in outbox.delivered:
                self.facts.states[seq] = "DELIVERED"
            for seq, by_cancel in list(self._given_up.items()):
                if by_cancel and seq not in outbox.cancelled:
                    del self._given_up[seq]

    # --- Lines ---

    def _heard(self, line):
        role = next(role for role in self.roles.values() if role.who == line["who"])
        match line["event"]:
            case "opened":
                role.open = True
            case "listening":
                role.open = True
                self._port = line["port"]
                if role.lives > 1:
                    self._ready(line["at_s"])
            case "answered":
                self._answers += 1
            case "closed" | "stopped":
                role.open = False
            case "failed":
                self.problems.append(f"{line['who']}: {line['do']} failed: {line['error']}")
            case _:
                self.facts.heard(line)
        self._changed.set()

    async def goal(self, what, reached):
        """Wait until ``reached`` holds, and with it everybody is back who ought to be."""
        if not await self._wait_for(lambda: self.problems or (reached() and self._all_back())):
            raise Stuck(f"{what}: not within {self._patience_s:g} s; {self}")
        if self.problems:
            raise Stuck(f"{what}: given up")
        if self._ready_at_s is not None and self.recovery_s is None:
            self.recovery_s = time.monotonic() - self._ready_at_s

    async def _wait_for(self, reached):
        """Tell whether it came true in time."""
        end_s = time.monotonic() + self._patience_s
        while not reached():
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), max(end_s - time.monotonic(), 0.0))
            except TimeoutError:
                return False
        return True

    def _all_back(self):
        return not self._restarts and all(role.open for role in self.roles.values() if role.wanted)

    # --- What a scenario does ---

    async def open(self, role_name):
        """Have this client log in, or the server listen."""
        role = self.roles[role_name]
        role.wanted = True
        self._open(role)
        if role.lives > 1 and role_name != SERVER:
            self._ready(time.monotonic())
        await self.goal(f"{role_name} is open", lambda: role.open)

    async def close(self, role_name):
        """Have this client, or the server, end."""
        role = self.roles[role_name]
        role.wanted = False
        self._close(role)
        await self.goal(f"{role_name} is closed", lambda: not role.open)

    async def send(self, count, deadline_s=None, *, poison=False, to=None, due=True):
        """Have the sender send, until it says so or is dead.

        Args:
            count: How many messages.
            deadline_s: After how long the sender gives them up.
            poison: Whether the recipient's program sets them aside.
            to: A group; the recipient otherwise.
            due: Whether anybody is to get them.

        Returns:
            The seqs, of which there are none if it died first.
        """
        role = self.roles[SENDER]
        life = role.lives
        mark = POISON if poison else ""
        payloads = [f"{self.name}#{self._numbers + n:04}{mark}" for n in range(count)]
        self._numbers += count
        self.facts.issued += payloads
        if not due:
            self.facts.due_to_nobody.update(payloads)
        before = dict(self.facts.messages)
        at_s = time.monotonic()
        to = to or self.roles[RECIPIENT].who
        role.process.command("send", role.who, to=to, payloads=payloads, deadline_s=deadline_s)
        await self.goal(
            "send() returned",
            lambda: set(payloads) <= self.facts.returned or role.lives > life,
        )
        new = sorted(set(self.facts.messages) - set(before))
        self._sent_at_s |= dict.fromkeys(new, at_s)
        if deadline_s is not None:
            self._given_up |= dict.fromkeys(new, False)
            self.facts.may_be_void.update(new)
        return new

    async def cancel(self, seqs):
        """Have the sender give messages up, until it says so or is dead."""
        role, cancels = self.roles[SENDER], self.facts.cancels
        life, before = role.lives, len(cancels)
        self.facts.may_be_void.update(seqs)
        self._given_up |= dict.fromkeys(seqs, True)
        role.process.command("cancel", role.who, seqs=seqs)
        await self.goal("cancelled", lambda: len(cancels) > before or role.lives > life)
        for seq in seqs:
            if role.lives == life and seq not in cancels[-1]:
                del self._given_up[seq]  # sent by a process that is dead

    async def ask(self):
        """Have the sender ask who of the recipient is there, until it is answered or dead."""
        role, before = self.roles[SENDER], self._answers
        life = role.lives
        role.process.command("presence", role.who, user=self.roles[RECIPIENT].who)
        await self.goal("answered", lambda: self._answers > before or role.lives > life)

    async def change_group(self, role_name, action, *names):
        """Have a client change a group; one that died of it is given the command again."""
        role, before = self.roles[role_name], self._answers
        while self._answers == before:
            life = role.lives
            role.process.command("change_group", role.who, action=action, names=names)
            await self.goal(
                f"the group was changed ({action})",
                lambda life=life: self._answers > before or role.lives > life,
            )

    def final(self, seq):
        """Whether the sender knows for good what became of a message."""
        return self.facts.states.get(seq) in FINAL

    def _handed(self):
        delivered = {q for q, s in self.facts.states.items() if s == "DELIVERED"}
        return delivered <= self.facts.handed

    async def settled(self):
        """Wait for the last receipt, and for the recipient's program."""
        await self.goal(
            "everything is settled",
            lambda: (
                all(map(self.final, self.facts.messages))
                and self._handed()
                and not self.facts.queued
            ),
        )

    async def stored(self):
        """Wait until everything is safe at the server, and what is given up is void there."""
        facts = self.facts

        def is_safe(seq):
            state = facts.states.get(seq)
            if seq in facts.on_disk["void"] and (state == "UNKNOWN" or seq not in self._given_up):
                return True
            return state in FINAL or (state == "STORED" and seq not in self._given_up)

        await self.goal("everything is stored", lambda: all(map(is_safe, facts.messages)))

    async def receipts_kept(self):
        """Wait until the server keeps every receipt for a sender who is away."""
        facts = self.facts
        await self.goal(
            "the receipts wait for the sender",
            lambda: all(
                self.final(seq) or (seq in facts.handed and seq in facts.on_disk["receipt"])
                for seq in facts.messages
            ),
        )

    # --- The end ---

    async def finish(self):
        """Close everybody, so that the files tell the truth.

        Who died of that comes back first, and must find everything settled.
        """
        await self._close_all()
        if self.recovery_s is None and any(role.lives > 1 for role in self.roles.values()):
            for name in (SERVER, RECIPIENT, SENDER):
                await self.open(name)
            await self.settled()
            await self._close_all()

    async def _close_all(self):
        for name in (RECIPIENT, SENDER, SERVER):
            await self.close(name)

    async def end(self):
        """End the processes that are this case's own, and its part in those that are shared."""
        for restart in list(self._restarts):
            with suppress(Exception):
                await restart
        for role in self.roles.values():
            if role.open and not self._own(role):
                role.wanted = False
                self._close(role)
                await self._wait_for(lambda role=role: not role.open)
        for role in self.roles.values():
            if role.process is not None and self._own(role):
                await role.process.end()
                if words := role.process.complaints():
                    self.problems.append(f"{role.who} complained: {words}")

    def __str__(self):
        facts = self.facts
        opened = {role.name: role.open for role in self.roles.values()}
        return (
            f"open {opened}, states {facts.states}, returned {sorted(facts.returned)},"
            f" handed {sorted(facts.handed)}, queued {sorted(facts.queued)}"
        )
