"""Who waits for an answer gets its own, or hears that there will be none."""

import asyncio

import pytest

import udpim
from tests.runtime.helpers import live
from udpim.asking import Asking
from udpim.im.inquiries import Inquiries
from udpim.wire.im_packets import PresenceA


class World:
    """Questions, and how often they were carried out."""

    def __init__(self):
        self.questions, self.wakes = Inquiries(), 0
        self.asking = Asking(self.questions, self.wake)

    def wake(self):
        self.wakes += 1

    async def ask(self, user):
        task = asyncio.ensure_future(self.asking.ask(lambda: self.questions.ask(user)))
        await asyncio.sleep(0)
        return task


@live
async def test_everybody_gets_the_answer_to_its_own_question():
    world = World()
    bob, carol = await world.ask("bob"), await world.ask("carol")
    assert 2 == world.wakes
    answers = [PresenceA(2, 0, ()), PresenceA(1, 1, ()), PresenceA(9, 0, ())]
    world.asking.answered(answers)
    assert [answers[1], answers[0]] == [await bob, await carol]
    assert 0 == len(world.questions)


@live
async def test_who_waits_no_more_has_its_question_forgotten():
    world = World()
    bob = await world.ask("bob")
    bob.cancel()
    world.asking.answered([PresenceA(1, 0, ())])
    await asyncio.wait([bob])
    assert 0 == len(world.questions)
    world.asking.answered([PresenceA(1, 0, ())])


@live
async def test_the_end_is_told_to_who_waits_and_to_who_asks_later():
    world = World()
    bob, carol = await world.ask("bob"), await world.ask("carol")
    world.asking.answered([PresenceA(1, 0, ())])
    world.asking.end(udpim.Error("closed"))
    assert PresenceA(1, 0, ()) == await bob
    for late in (carol, await world.ask("zoe")):
        with pytest.raises(udpim.Error, match="closed"):
            await late
    assert 0 == len(world.questions)
