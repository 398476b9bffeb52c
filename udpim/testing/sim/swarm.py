"""From a seed to a plan: which kinds of trouble a run has, and how much of each.

Every kind and every feature is on in half of the seeds, with an intensity that is even in its
logarithm; so runs differ in kind, and bugs that hide behind a fault show where it is off (Groce et
al., "Swarm testing", ISSTA 2012). About twenty messages a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from udpim.testing.faults import Loss, Profile
from udpim.testing.sim.clusters import clustered
from udpim.testing.sim.draws import Args, log_uniform
from udpim.testing.sim.plan import Action, Plan, Seat

USERS = ("alice", "bob", "carol", "dave")
LENGTH_S = (4.0, 14.0)
SENDS = (4, 9)
COUNTS = (1, 1, 2, 3, 5, 9)
"""Messages of one send: a run of them costs little more than one, so sends are few."""
LARGE_BYTES = (1100, 5000)
"""In up to five pieces: each is a datagram on every leg of its way, and its repetitions are."""
LARGE_COUNT_MAX = 2
"""Large messages of one send."""
LARGE_RATIO = 0.15
SQLITE_EVERY = 10
"""One seed in this many runs on the real SQLite store, whose power may fail."""
RATE_PER_S = (0.02, 0.4)
"""How often an event of a kind that is on happens."""

# --- Links ---

_LINK: dict[str, Callable[[Profile, Random], Profile]] = {
    "loss": lambda p, d: p.loss(log_uniform(d, 0.01, 0.4)),
    "burst": lambda p, d: p.loss(log_uniform(d, 0.01, 0.3), mean_burst=d.choice([2, 3, 8, 20])),
    "outage": lambda p, d: p.outage(log_uniform(d, 0.01, 0.2), mean=log_uniform(d, 0.2, 10.0)),
    "duplicate": lambda p, d: p.duplicate(log_uniform(d, 0.01, 0.5)),
    "late copy": lambda p, d: p.duplicate_late(
        log_uniform(d, 0.005, 0.05), after=log_uniform(d, 1.0, 300.0)
    ),
    "reorder": lambda p, d: p.reorder(log_uniform(d, 0.01, 0.3), by=log_uniform(d, 0.02, 2.0)),
    "corrupt": lambda p, d: p.corrupt(log_uniform(d, 0.005, 0.1)),
    "truncate": lambda p, d: p.truncate(log_uniform(d, 0.005, 0.1)),
    "slow link": lambda p, d: p.rate(
        log_uniform(d, 20_000, 2_000_000), queue=d.choice([5, 25, 100])
    ),
    "jitter": lambda p, d: p.delay(p.delay_s, jitter=log_uniform(d, 0.001, 0.2)),
    "mtu": lambda p, d: p.mtu(d.choice([1200, 1280, 1400])),
}


# --- What happens ---


def _some(dice: Random, hosts: list[str]) -> Args:
    return {"who": dice.choice(hosts)}


def _crash(dice: Random, hosts: list[str]) -> Args:
    down_s = round(log_uniform(dice, 0.01, 10.0), 3)
    return {"who": dice.choice(hosts), "landing": dice.choice([0, 0, 1, 5]), "down_s": down_s}


def _server_crash(dice: Random, hosts: list[str]) -> Args:
    return {**_crash(dice, ["server"])}


def _for_a_while(dice: Random, hosts: list[str]) -> Args:
    return {"who": dice.choice(hosts), "for_s": round(log_uniform(dice, 0.1, 20.0), 3)}


def _cut(dice: Random, hosts: list[str]) -> Args:
    return {**_for_a_while(dice, hosts), "way": dice.choice(["both", "up", "down"])}


def _jump(dice: Random, hosts: list[str]) -> Args:
    return {"who": dice.choice([*hosts, "server"]), "by_s": round(log_uniform(dice, 0.1, 1e5), 3)}


def _wall(dice: Random, hosts: list[str]) -> Args:
    by_s = log_uniform(dice, 1, 3e8) * dice.choice([-1, 1])
    return {"who": dice.choice([*hosts, "server"]), "by_s": round(by_s, 3)}


def _store(dice: Random, hosts: list[str]) -> Args:
    return {"who": dice.choice([*hosts, "server"]), "lands": dice.random() < 0.5}


def _replay(dice: Random, hosts: list[str]) -> Args:
    delay_s = round(log_uniform(dice, 0.01, 60.0), 3)
    elsewhere = dice.random() < 0.5
    return {"which": dice.random(), "delay_s": delay_s, "elsewhere": elsewhere}


def _which(dice: Random, hosts: list[str]) -> Args:
    return {"which": dice.random()}


_EVENTS: dict[str, tuple[Callable[[Random, list[str]], Args], float]] = {
    "crash": (_crash, 1.0),
    "crash server": (_server_crash, 1.0),
    "pause": (_for_a_while, 1.0),
    "pause server": (lambda d, hosts: _for_a_while(d, ["server"]), 0.5),
    "cut": (_cut, 1.0),
    "jump": (_jump, 1.0),
    "wall clock": (_wall, 1.0),
    "rebind": (_some, 1.0),
    "migrate": (_some, 1.0),
    "lose disk": (_some, 0.2),
    "lose server disk": (lambda d, hosts: {}, 0.1),
    "back up": (_some, 1.0),
    "restore": (_some, 0.5),
    "store fails": (_store, 0.5),
    "replay": (_replay, 3.0),
    "hang up": (_crash, 0.3),
    "cancel": (_which, 1.0),
    "send again": (_which, 0.5),
    "read": (_some, 1.0),
    "signal": (_some, 1.0),
    "set aside": (_some, 0.5),
}
"""What happens again and again: its arguments, and how often beside the others."""


# --- Who is there ---


def _seats(dice: Random, on: Callable[[str], bool], length_s: float) -> Iterator[Seat]:
    users = USERS[: dice.choice([2, 2, 2, 2, 3, 4])]
    devices, memory, slow_disk = on("devices"), on("memory"), on("slow disk")
    away, slow = on("away"), on("slow application")
    for user in users:
        for device in ("phone", "laptop")[: dice.choice([1, 1, 2]) if devices else 1]:
            late = away and dice.random() < 0.4
            yield Seat(
                user=user,
                device=device,
                durable=not (memory and dice.random() < 0.4),
                sync_s=round(log_uniform(dice, 0.0005, 0.2), 4) if slow_disk else 0.002,
                handle_after_s=dice.choice([0.0, 0.02, 3.0, -1.0]) if slow else 0.0,
                from_s=round(dice.uniform(0.3, 1.2) * length_s, 3) if late else 0.0,
            )


def _messages(
    dice: Random, on: Callable[[str], bool], seats: list[Seat], length_s: float
) -> Iterator[Action]:
    large, deadlines, groups = on("large"), on("deadline"), on("group")
    users = sorted({seat.user for seat in seats})
    if groups:
        owner = dice.choice(seats).host
        yield Action(at_s=0.5, kind="group", args={"who": owner})
        for user in users:
            joiner = next(seat for seat in seats if seat.user == user)
            at_s = round(max(1.0, joiner.from_s + dice.choice([0.5, 0.5, 5.0])), 3)
            yield Action(at_s=at_s, kind="join", args={"who": joiner.host})
        if dice.random() < 0.5:
            at_s = round(dice.uniform(2, length_s), 3)
            yield Action(at_s=at_s, kind="leave", args={"who": dice.choice(seats).host})
    for _ in range(dice.randint(*SENDS)):
        sender = dice.choice(seats)
        others = [user for user in users if user != sender.user] + ["zoe"] * (dice.random() < 0.03)
        to_group = groups and dice.random() < 0.5
        is_large = large and dice.random() < LARGE_RATIO
        to = "the group" if to_group else dice.choice(others)
        count = dice.choice(COUNTS)
        args: Args = {
            "who": sender.host,
            "to": to,
            "count": min(count, LARGE_COUNT_MAX) if is_large else count,
            "size": int(log_uniform(dice, *LARGE_BYTES)) if is_large else 0,
        }
        if deadlines and dice.random() < 0.4:
            args["ttl_s"] = round(log_uniform(dice, 0.05, 20.0), 3)
        at_s = dice.uniform(min(sender.from_s, length_s), length_s)
        yield Action(at_s=round(at_s, 3), kind="send", args=args)


def _sent_too_soon(dice: Random, restore: Action, seats: list[Seat]) -> Action:
    """Let a restored client send before its login shows that its store is an old copy."""
    who = restore.args["who"]
    users = [seat.user for seat in seats]
    others = [user for user in users if user != str(who).partition("/")[0]]
    args: Args = {"who": who, "to": dice.choice(others), "count": 1, "size": 0}
    return Action(at_s=restore.at_s + 0.001, kind="send", args=args)


def _tight(dice: Random) -> dict[str, int]:
    return {
        "window_frames": dice.choice([16, 64]),
        "session_messages_max": dice.choice([40, 100]),
        "queue_messages_max": dice.choice([40, 100]),
        "inbox_messages_max": dice.choice([5, 20, 100]),
        "outbox_messages_max": dice.choice([10, 50]),
        "hop_frames_max": dice.choice([2, 16]),
    }


def draw(seed: str) -> Plan:
    """Return the plan of a seed, always the same one."""
    dice = Random(f"{seed}:plan")
    kinds: list[str] = []

    def on(kind: str, ratio: float = 0.5) -> bool:
        if dice.random() < ratio:
            kinds.append(kind)
            return True
        return False

    profile = Loss.none().delay(log_uniform(dice, 0.001, 0.4 if on("far") else 0.05))
    for kind, worsen in _LINK.items():
        if on(kind):
            profile = worsen(profile, dice)
    length_s = round(dice.uniform(*LENGTH_S), 3)
    seats = list(_seats(dice, on, length_s))
    hosts = [seat.host for seat in seats]
    actions = list(_messages(dice, on, seats, length_s))
    for kind, (args, weight) in _EVENTS.items():
        if on(kind):
            rate = weight * log_uniform(dice, *RATE_PER_S)
            at_s = dice.expovariate(rate)
            while at_s < length_s:
                action = Action(at_s=round(at_s, 3), kind=kind, args=args(dice, hosts))
                actions.append(action)
                if kind == "restore":
                    actions.append(_sent_too_soon(dice, action, seats))
                at_s += dice.expovariate(rate)
    sqlite = dice.randrange(SQLITE_EVERY) == 0
    settings: dict[str, Any] = {
        "exchange": "four" if on("four packets") else "six",
        "encrypted": on("encryption"),
        "disk": "power" if sqlite else "objects",
        "crash_ratio": round(log_uniform(dice, 0.003, 0.1), 5) if on("crash in write") else 0.0,
        "key_update_packets": dice.choice([5, 20, 100]) if on("key update") else 0,
        "nat_s": round(log_uniform(dice, 0.5, 60.0), 3) if on("NAT") else 0.0,
        "limits": _tight(dice) if on("tight limits") else {},
        "quiet": dice.random() < 0.15,
    }
    plan = Plan(
        seed=seed,
        server=Seat(user="server", durable=not on("memory server", 0.2)),
        seats=tuple(seats),
        actions=tuple(sorted(actions, key=lambda action: action.at_s)),
        length_s=length_s,
        kinds=tuple(kinds),
        link={name: getattr(profile, name) for name in Profile.__dataclass_fields__},
        **settings,
    )
    return clustered(plan)
