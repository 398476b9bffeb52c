"""What can happen in a simulated run, each by its name: the doing of a plan's actions.

An action whose time has come at the wrong moment (a crash of who is down, a cancel of what was
never sent) does nothing, so that the shrinker may leave out whatever it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from udpim.errors import Error
from udpim.model import GroupAction
from udpim.testing.cluster import Member
from udpim.testing.facts import SERVER
from udpim.testing.nodes import Sent, VirtualClient
from udpim.testing.process import Backup, VirtualProcess
from udpim.testing.sim.plan import Action, Plan, Value
from udpim.testing.world import World

GROUP = "#room"
ELSEWHERE = ("elsewhere", 1)
REPAIR_S = 3.0
"""When somebody has seen that a store failed."""


class Stage:
    """A world, what was sent in it, and everything that a plan may ask for.

    Attributes:
        crashes: (order, host, transactions in flight, transactions that landed untold) of each.
        log: (order, words) of each action whose time came.
        refused: Sends that an application was refused, by the error's name.
        store_failures: How often a process was found whose store had failed.
        ended: Whether all trouble is over.
        canary: Rides in every payload, for whoever looks for it where it must not be.
    """

    def __init__(self, world: World, plan: Plan, canary: bytes) -> None:
        """Nothing has happened.

        Args:
            world: Where things happen.
            plan: Whose actions these will be.
            canary: What rides in every payload.
        """
        self.world = world
        self.plan = plan
        self.crashes: list[tuple[int, str, int, int]] = []
        self.log: list[tuple[int, str]] = []
        self.refused: list[str] = []
        self.store_failures = 0
        self.ended = False
        self.canary = canary
        self._sent: list[tuple[VirtualClient, int, Sent]] = []
        self._backups: dict[str, Backup] = {}
        self._sends = 0

    def do(self, action: Action) -> None:
        """Do one of a plan's actions, if it can be done now."""
        if not self.ended:
            self.log.append((self.world.history.tick(), str(action)))
            ACTIONS[action.kind](self, action.args)

    def crash(self, process: VirtualProcess | Member, landing: int, down_s: float) -> None:
        """Let a process die, and come back after a while."""
        if not process.up:
            return
        order = self.world.history.tick()
        in_flight = process.store.pending
        self.crashes.append((order, process.host, in_flight, min(landing, in_flight)))
        process.crash(landing=landing)
        self._start_later(process, down_s)

    def _start_later(self, process: VirtualProcess | Member, down_s: float) -> None:
        def start() -> None:
            if not process.up and not self.ended:
                process.start()

        self.world.clock.call_later(max(down_s, 0.001), start)

    # --- Who ---

    def _process(self, args: Args) -> VirtualProcess | Member | None:
        return self.world.find(str(args["who"]))

    def _client(self, args: Args) -> VirtualClient | None:
        client = self.world.clients.get(str(args["who"]))
        return client if client is not None and client.up and not client.errors else None

    def _one_sent(self, args: Args) -> tuple[VirtualClient, Sent] | None:
        """Return messages that the present process of their sender sent."""
        here = [(c, s) for c, life, s in self._sent if c.up and c.life == life and not c.errors]
        return here[int(float(args["which"]) * len(here))] if here else None

    # --- Messages ---

    def send(self, args: Args) -> None:
        """Send a run of messages."""
        number, self._sends = self._sends, self._sends + 1
        client = self._client(args)
        if client is None:
            return
        count, size = int(args["count"]), int(args["size"])
        payloads = [self._payload(number, at, size) for at in range(count)]
        limits, outbox = client.config.limits, client.node.outbox
        if outbox.open_messages + len(payloads) > limits.outbox_messages_max:
            self.refused.append("OutboxFull")
            return
        to = GROUP if args["to"] == "the group" else str(args["to"])
        ttl_s = float(args["ttl_s"]) if "ttl_s" in args else None
        try:
            sent = client.send(to, payloads, ttl_s=ttl_s)
        except Error as error:
            self.refused.append(type(error).__name__)
            return
        self._sent.append((client, client.life, sent))

    def _payload(self, number: int, at: int, size: int) -> bytes:
        head = b"%s %d.%d " % (self.canary, number, at)
        if len(head) >= size:
            return head
        return head + Random(f"{number}.{at}").randbytes(size - len(head))

    def cancel(self, args: Args) -> None:
        """Give up on what was sent."""
        if (found := self._one_sent(args)) is not None:
            client, sent = found
            client.cancel(sent)

    def send_again(self, args: Args) -> None:
        """Send the first of a run again by hand."""
        if (found := self._one_sent(args)) is not None:
            client, sent = found
            client.resend(sent.msgids[0])

    def read(self, args: Args) -> None:
        """Somebody has read what came last."""
        client = self._client(args)
        if client is None:
            return
        for one in reversed(self.world.history.handovers):
            if one.endpoint == client.endpoint and one.life == client.life:
                client.read(one.msgid)
                return

    def signal(self, args: Args) -> None:
        """Signal to somebody that one is typing."""
        if (client := self._client(args)) is not None:
            others = [seat.user for seat in self.plan.seats if seat.user != client.endpoint.user]
            client.signal(others[0], b"typing")

    def set_aside(self, args: Args) -> None:
        """An application that cannot handle what waits longest puts it aside."""
        client = self._client(args)
        if client is not None and client.waiting:
            client.set_aside()

    def group(self, args: Args) -> None:
        """Make the group."""
        self._ask(args, GroupAction.CREATE)

    def join(self, args: Args) -> None:
        """Become a member."""
        self._ask(args, GroupAction.JOIN)

    def leave(self, args: Args) -> None:
        """Cease to be one."""
        self._ask(args, GroupAction.LEAVE)

    def _ask(self, args: Args, action: GroupAction) -> None:
        if (client := self._client(args)) is not None:
            client.ask_group(action, GROUP)

    # --- Processes and clocks ---

    def crashes_now(self, args: Args) -> None:
        """A process dies."""
        if (process := self._process(args)) is not None:
            self.crash(process, int(args["landing"]), float(args["down_s"]))

    def pause(self, args: Args) -> None:
        """A process stands still for a while."""
        if (process := self._process(args)) is not None:
            process.pause()
            self.world.clock.call_later(float(args["for_s"]), process.resume)

    def hang_up(self, args: Args) -> None:
        """Somebody says goodbye, and comes back later."""
        if (client := self._client(args)) is not None:
            client.close()
            life, down_s = client.life, float(args["down_s"])

            def gone() -> None:
                if client.up and client.life == life and not self.ended:
                    self.crash(client, 0, down_s)

            self.world.clock.call_later(0.5, gone)

    def jump(self, args: Args) -> None:
        """A monotonic clock jumps ahead, as after a suspension."""
        if (process := self._process(args)) is not None:
            process.jump_clock(float(args["by_s"]))

    def wall_clock(self, args: Args) -> None:
        """Somebody sets a clock."""
        if (process := self._process(args)) is not None:
            process.wall_skew_ms += int(float(args["by_s"]) * 1000)

    # --- Networks ---

    def cut(self, args: Args) -> None:
        """Nothing passes between a client and the server, both ways or one."""
        who, way, network = str(args["who"]), args["way"], self.world.network
        pairs = [(who, "server")] * (way != "down") + [("server", who)] * (way != "up")
        for pair in pairs:
            network.cut_one_way(*pair)

        def mend() -> None:
            for pair in pairs:
                network.mend_one_way(*pair)

        self.world.clock.call_later(float(args["for_s"]), mend)

    def rebind(self, args: Args) -> None:
        """A NAT gives a client another address; nobody is told."""
        if (client := self._client(args)) is not None:
            client.rebind()

    def migrate(self, args: Args) -> None:
        """A client goes over to another network, and knows it."""
        if (client := self._client(args)) is not None:
            client.migrate()

    def replay(self, args: Args) -> None:
        """A captured datagram comes once more, perhaps from elsewhere."""
        network = self.world.network
        if network.trace:
            crossing = network.trace[int(float(args["which"]) * len(network.trace))]
            source = ELSEWHERE if args["elsewhere"] else None
            network.replay(crossing, source=source, delay_s=float(args["delay_s"]))

    # --- Clusters ---

    def _member(self, args: Args) -> Member | None:
        process = self._process(args)
        return process if isinstance(process, Member) else None

    def part_process(self, args: Args) -> None:
        """A server process is cut off from the others, from the directory, or from both."""
        if (member := self._member(args)) is None:
            return
        meeting, host, where = member.meeting, member.host, args["from"]
        if where != "directory":
            meeting.bus.cut(host)
        if where != "bus":
            meeting.directory.cut(host)

        def mend() -> None:
            meeting.bus.mend(host)
            meeting.directory.mend(host)

        self.world.clock.call_later(float(args["for_s"]), mend)

    def shut_port(self, args: Args) -> None:
        """Clients do not reach a server process, nor it them; the other processes do."""
        if (member := self._member(args)) is not None:
            member.shut()
            self.world.clock.call_later(float(args["for_s"]), member.open)

    def lose_directory(self, args: Args) -> None:
        """Somebody deletes the directory."""
        if (member := self.world.find(SERVER)) is not None and isinstance(member, Member):
            member.meeting.directory.lose()

    def give_back(self, args: Args) -> None:
        """A server process ends as it should, and is started again."""
        if (member := self._member(args)) is not None:
            member.leave()

    # --- Disks ---

    def store_fails(self, args: Args) -> None:
        """The next transaction fails, and may have happened all the same."""
        if (process := self._process(args)) is not None and process.store.durable:
            process.store.fail(lands=bool(args["lands"]))
            self.world.clock.call_later(REPAIR_S, lambda: self.repair(process))

    def repair(self, process: VirtualProcess | Member) -> None:
        """Whoever looks after a process starts it anew when its store has failed it."""
        self.store_failures += bool(process.errors)
        if process.errors:
            process.errors.clear()
            process.restart()

    def lose_disk(self, args: Args) -> None:
        """A client's disk dies."""
        if (client := self._client(args)) is not None:
            self._backups.pop(client.host, None)
            client.lose_disk()

    def lose_server_disk(self, args: Args) -> None:
        """The server's disk dies."""
        self.world.lose_server_disk()

    def back_up(self, args: Args) -> None:
        """Somebody copies a client's store."""
        if (client := self._client(args)) is not None and client.store.durable:
            self._backups[client.host] = client.back_up()

    def restore(self, args: Args) -> None:
        """Somebody puts the old copy back."""
        client = self._client(args)
        if client is not None and (backup := self._backups.get(client.host)) is not None:
            client.restore(backup)


Args = Mapping[str, Value]

ACTIONS: dict[str, Callable[[Stage, Args], None]] = {
    "send": Stage.send,
    "cancel": Stage.cancel,
    "send again": Stage.send_again,
    "read": Stage.read,
    "signal": Stage.signal,
    "set aside": Stage.set_aside,
    "group": Stage.group,
    "join": Stage.join,
    "leave": Stage.leave,
    "crash": Stage.crashes_now,
    "crash server": Stage.crashes_now,
    "pause": Stage.pause,
    "pause server": Stage.pause,
    "hang up": Stage.hang_up,
    "jump": Stage.jump,
    "wall clock": Stage.wall_clock,
    "cut": Stage.cut,
    "rebind": Stage.rebind,
    "migrate": Stage.migrate,
    "replay": Stage.replay,
    "crash process": Stage.crashes_now,
    "pause process": Stage.pause,
    "jump process": Stage.jump,
    "part process": Stage.part_process,
    "shut port": Stage.shut_port,
    "lose directory": Stage.lose_directory,
    "give back": Stage.give_back,
    "store fails": Stage.store_fails,
    "lose disk": Stage.lose_disk,
    "lose server disk": Stage.lose_server_disk,
    "back up": Stage.back_up,
    "restore": Stage.restore,
}
"""Every kind of action."""
