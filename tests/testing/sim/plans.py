"""Small plans made by hand: alice and bob, a few messages, and what a test adds."""

from dataclasses import asdict, replace

from udpim.testing.faults import Loss
from udpim.testing.sim.plan import Action, Plan, Seat
from udpim.testing.sim.run import run

ALICE, BOB = Seat(user="alice", device="phone"), Seat(user="bob", device="phone")
FAR = asdict(Loss.none().delay(0.02))
LOSSY = asdict(Loss.uniform(0.3).delay(0.02))


def action(at_s, kind, who="alice/phone", **args):
    return Action(at_s=at_s, kind=kind, args={"who": who, **args})


def send(at_s, who="alice/phone", to="bob", count=1, size=0):
    return action(at_s, "send", who, to=to, count=count, size=size)


def crash(at_s, who, down_s=0.1, landing=0):
    return action(at_s, "crash", who, landing=landing, down_s=down_s)


def plan(*actions, seats=(ALICE, BOB), length_s=4.0, **settings):
    """A plan in which nothing happens but what is named."""
    fields = {"seed": "by hand", "link": FAR, "encrypted": False} | settings
    return Plan(
        server=Seat(user="server"),
        seats=tuple(seats),
        actions=tuple(sorted(actions, key=lambda one: one.at_s)),
        length_s=length_s,
        **fields,
    )


def receipt_is_cut_off(**settings):
    """Bob dies with a receipt that could not leave; the rest is noise, which a shrinker drops.

    Whoever forgets at a restart what bob has takes the copies that come later for new ones.
    """
    return plan(
        send(1.0, count=2),
        send(1.5, "bob/phone", "alice"),
        action(1.03, "cut", "bob/phone", way="up", for_s=1.0),
        crash(1.2, "bob/phone"),
        send(2.2, count=3),
        crash(3.0, "alice/phone"),
        action(1.2, "read", "bob/phone"),
        **{"link": asdict(Loss.none().delay(0.02, jitter=0.01).duplicate(0.2))} | settings,
    )


def cut_short(whole, length_s):
    """The first seconds of a plan, for tests that play many."""
    return replace(
        whole,
        length_s=min(length_s, whole.length_s),
        actions=tuple(one for one in whole.actions if one.at_s < length_s),
        quiet=False,
    )


def watched(*args):
    """Play a plan, and return the result, the world and the stage."""
    seen = []
    result = run(*args, watch=lambda world, stage: seen.append((world, stage)))
    return result, *seen[0]
