"""The end of a schedule: links become fair, nodes stay up, and everything must settle (I14).

Who does not come back is decided first: endpoints, and sometimes the sender itself. Then what is
still wrong is said by `complaints`, one line each; a schedule that heals has none.
"""

from tests.model.oracle import Violation, demand
from tests.model.packets import STORED

ROUNDS = 30
DELIVERIES = 4000
GONE = (0.0, 0.2, 0.5)


def heal(world):
    """Let everything settle, then judge."""
    world.calm = True
    decide_who_is_gone(world)
    for process in (0, 1):
        world.server.crash(process)
    if world.coin(0.5):
        world.network.take_fresh()
    for player in returned(world):
        if player.up and world.coin(0.5):
            player.crash()
    log_in(world)
    settle(world, open_messages)
    # An outbox without open messages of an older life says so at its next login.
    log_in(world)
    settle(world, open_messages, waiting_items, held_back)
    judge(world)


def decide_who_is_gone(world):
    share = world.choice(GONE)
    for receiver in world.receivers:
        receiver.gone = world.coin(share)
    world.sender.gone = world.coin(share / 2)
    if "members leave" in world.troubles and world.coin(0.5):
        # A device not seen for long is retired (R5).
        for receiver in world.receivers:
            joined = world.server.store.joined
            if receiver.gone and receiver.number in joined and len(joined) > 1:
                world.server.leave(receiver.number)


def returned(world):
    return [player for player in (world.sender, *world.receivers) if not player.gone]


def log_in(world):
    for player in returned(world)[::-1] if world.coin(0.5) else returned(world):
        player.login()


def settle(world, *complaints):
    """Run fairly until nothing is wrong any more, or patience ends."""
    for round_ in range(ROUNDS):
        run(world)
        wrong = [line for complain in complaints for line in complain(world)]
        if not wrong:
            return
        if round_ % 4 == 3:
            log_in(world)
        if not world.sender.gone:
            for stream in list(world.sender.box.streams.values()):
                for seq in range(stream.floor, stream.next_seq):
                    world.sender.transmit(stream, seq)
                if stream.floor < stream.next_seq:
                    world.sender.ask(stream)
    raise Violation(f"I14: still wrong: {wrong}")


def run(world):
    """Deliver everything, in order; what is not taken comes again later, as the hop does."""
    count = 0
    refused = []
    while world.network.fresh:
        for to, packet in world.network.take_fresh():
            count += 1
            if not world.hand_over(to, packet):
                refused.append((to, packet))
    demand(count < DELIVERIES, "I15", "packets beget packets for ever", count)
    for to, packet in refused:
        world.hand_over(to, packet)


# --- What may be wrong ---


def open_messages(world):
    """I14: every message is settled or, where its endpoint is gone, STORED or a void item."""
    if world.sender.gone:
        return
    for stream in world.sender.box.streams.values():
        for seq in range(stream.floor, stream.next_seq):
            row = stream.rows[seq]
            if not row.epoch and world.server.store.joined:
                yield "never stamped", stream.id, seq
            for endpoint in world.sender.due(row):
                if not rests(world, stream, seq, endpoint):
                    yield "open", stream.id, seq, endpoint, row.known.get(endpoint), row.cancelled


def rests(world, stream, seq, endpoint):
    row = stream.rows[seq]
    known = row.known.get(endpoint)
    if known not in (None, STORED):
        return True
    if not world.receivers[endpoint].gone:
        return False
    if not row.cancelled:
        return known == STORED
    queued = world.server.store.queue.get((endpoint, stream.id))
    return queued is not None and seq in queued.items and queued.items[seq] is None


def waiting_items(world):
    """R8: the queue of an endpoint that came back is empty.

    But for one whose disk was lost: it may need what is no longer queued before, and only A has it.
    """
    for (endpoint, stream), queued in world.server.store.queue.items():
        receiver = world.receivers[endpoint]
        if receiver.gone or endpoint not in world.server.store.joined:
            continue
        if receiver.disks == 1 or not world.sender.gone:
            yield "queued", endpoint, stream, sorted(queued.items)


def held_back(world):
    """I11: no gap is left where nobody can fill it any more."""
    if world.sender.gone:
        return
    for receiver in world.receivers:
        if not receiver.gone:
            for stream in receiver.box.streams.values():
                if stream.ready:
                    yield "held back", receiver.number, stream.id, stream.cum, stream.ready


def judge(world):
    """What must be true when all is quiet."""
    receipts_survived(world)
    everything_arrived(world)


def receipts_survived(world):
    """R3: what B has an ack:A for, A knows."""
    sender, oracle = world.sender, world.oracle
    if sender.gone:
        return
    for store, endpoint, incarnation, stream, seq, verdict in oracle.receipts:
        out = sender.box.streams.get(stream)
        if out is None or stream in oracle.restored or store != world.server.store.epoch:
            continue
        row = out.rows.get(seq)
        if row is None or seq < out.floor or endpoint not in sender.due(row):
            continue
        if sender.box.incarnations.get(endpoint) == incarnation:
            known = row.known.get(endpoint)
            facts = (endpoint, incarnation, stream, seq, verdict, known)
            demand(known not in (None, STORED), "R3", "a receipt is lost", facts)


def everything_arrived(world):
    """I1: who was due a message, stayed, and kept its disk, has it, unless it was given up."""
    sender, oracle, store = world.sender, world.oracle, world.server.store
    for (stream, seq), (epoch_of_store, epoch, due) in oracle.stamped.items():
        if epoch_of_store != store.epoch or (stream, seq) in oracle.given:
            continue
        for endpoint in due:
            joined = store.joined.get(endpoint)
            receiver = world.receivers[endpoint]
            if joined is None or joined > epoch or receiver.gone or receiver.disks > 1:
                continue
            promised = (store.epoch, endpoint, stream, seq, STORED) in oracle.told
            out = sender.box.streams.get(stream)
            here = not sender.gone and out is not None and seq < out.next_seq
            if promised or (here and not oracle.has_ended(stream, seq)):
                key = endpoint, stream, seq
                demand(oracle.has_settled(*key), "I1", "a message is lost", key)
