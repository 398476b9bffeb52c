"""What happens in a case when nobody dies: each scenario makes effects that others do not.

Those in lockstep wait for each goal, so that effects have the same ordinals in every run.
"""

from tests.kills.case import RECIPIENT, SENDER

DEADLINE_S = 0.2


async def online(case):
    """Both are there; each batch is receipted before the next one is sent."""
    await case.open(RECIPIENT)
    await case.open(SENDER)
    for count in (2, 1, 2):
        await case.send(count)
        await case.settled()


async def pipelined(case):
    """Both are there, and nobody waits for receipts."""
    await case.open(RECIPIENT)
    await case.open(SENDER)
    for count in (2, 1, 2):
        await case.send(count)
    await case.settled()


async def recipient_away(case):
    """The server keeps the messages until the recipient comes and pulls them."""
    await _register_recipient(case)
    await case.open(SENDER)
    for count in (2, 1):
        await case.send(count)
        await case.stored()
    await case.open(RECIPIENT)
    await case.settled()
    await case.send(2)
    await case.settled()


async def sender_away(case):
    """The receipts arrive while the sender is away, and wait for it at the server."""
    await _register_recipient(case)
    await case.open(SENDER)
    await case.send(2)
    await case.stored()
    await case.close(SENDER)
    await case.open(RECIPIENT)
    await case.receipts_kept()
    await case.open(SENDER)
    await case.settled()
    for count in (1, 2):
        await case.send(count)
        await case.settled()


async def given_up(case):
    """One message is cancelled and one meets its deadline, while the recipient is away."""
    await _register_recipient(case)
    await case.open(SENDER)
    cancelled = await case.send(2)
    await case.stored()
    await case.cancel(cancelled[:1])
    await case.stored()
    await case.send(1, deadline_s=DEADLINE_S)
    await case.stored()
    await case.send(1)
    await case.stored()
    await case.open(RECIPIENT)
    await case.settled()
    await case.send(1)
    await case.settled()


async def poisoned(case):
    """The recipient's program sets a message aside, and can handle it when it comes again."""
    await case.open(RECIPIENT)
    await case.open(SENDER)
    for poison in (True, False):
        await case.send(1, poison=poison)
        await case.settled()


async def asked(case):
    """The sender asks who of the recipient is there, and sends to whoever is."""
    await case.open(RECIPIENT)
    await case.open(SENDER)
    await case.ask()
    await case.send(1)
    await case.settled()


async def grouped(case):
    """The sender makes a group and writes to it; the recipient is a member, and leaves."""
    group = f"#room-{case.name}"
    await case.open(RECIPIENT)
    await case.open(SENDER)
    await case.change_group(SENDER, "create", group)
    await case.change_group(SENDER, "join", group, case.roles[RECIPIENT].who)
    for count in (2, 1):
        await case.send(count, to=group)
        await case.settled()
    await case.change_group(RECIPIENT, "leave", group)
    await case.send(1, to=group, due=False)
    await case.settled()


async def inspected(case):
    """The server's hooks look at who writes, and at each message."""
    await case.open(RECIPIENT)
    await case.open(SENDER)
    for count in (2, 1):
        await case.send(count)
        await case.settled()


async def _register_recipient(case):
    """The server knows the recipient, who has left again."""
    await case.open(RECIPIENT)
    await case.close(RECIPIENT)


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        online,
        pipelined,
        recipient_away,
        sender_away,
        given_up,
        poisoned,
        asked,
        grouped,
        inspected,
    )
}
INSPECTING = {inspected.__name__}
"""The scenarios whose server has hooks for what is sent."""
