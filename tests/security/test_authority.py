"""(IM packet × identity in it), forged by another user who is logged in: refused or ignored.

Packets and fields are taken from the wire declarations, and each stands in a table here, so a new
one fails until somebody has said what a stranger could do with it. Adversary "cross-user
injection": nobody writes, receipts, reads, cancels, asks or joins in another one's name.
"""

import construct
import pytest

from tests.node.net import Net, dialled, msg
from udpim.im.session import Session
from udpim.model import Endpoint, GroupAction, GroupCode, StreamId
from udpim.wire import im_codec, im_schema
from udpim.wire import im_packets as p
from udpim.wire.im_kinds import Kind

CLIENT, SERVER = "from a client", "from the server"
WHO = "names a user, device, stream, group or handle, or a number that stands for one"
WHICH = "names messages, by their seqs"
ABSENT = "declared with its handle, and never there, for its flag is not allowed"
SAYS = "says something of its sender, or carries what the sender says"

HEAD = {"flags": SAYS, "handle": WHO}
NAME = dict.fromkeys(
    ("name.incarnation", "name.conversation", "name.user", "name.device"),
    WHO,
)
STREAM = HEAD | NAME
ANSWER = HEAD | dict.fromkeys(NAME, ABSENT)
SECTION = {
    "section.first": WHICH,
    **dict.fromkeys(("section.count", "section.lengths", "section.stamps"), SAYS),
    "section.payloads": SAYS,
}
RUNS = {"runs.first": WHICH, "runs.epoch": SAYS}


def ranges(*names):
    return {f"{name}.{end}": WHICH for name in names for end in ("first", "last")}


TABLE = {
    Kind.MSG_R: (CLIENT, {**STREAM, "floor": WHICH, **RUNS, "settled": WHO, **SECTION}),
    Kind.MSG_A: (SERVER, {**ANSWER, "rtt_us": SAYS, **ranges("ranges")}),
    Kind.MSG_N: (SERVER, {**STREAM, "floor": WHICH, "base": WHICH, **SECTION}),
    Kind.ACK_R: (CLIENT, {**STREAM, **ranges("delivered", "void", "settled")}),
    Kind.ACK_A: (SERVER, {**ANSWER, **ranges("ranges")}),
    Kind.ACK_N: (
        SERVER,
        {
            **STREAM,
            **dict.fromkeys(("ordinal", "incarnation", "store_epoch"), WHO),
            **ranges("delivered", "void", "stored", "excused"),
        },
    ),
    Kind.REFUSE: (SERVER, {**ANSWER, "code": SAYS, "to": WHO, **ranges("ranges")}),
    Kind.MEMBERS: (
        SERVER,
        {
            **STREAM,
            "store_epoch": WHO,
            "epoch": SAYS,
            **dict.fromkeys(("members.ordinal", "members.user", "members.device"), WHO),
            "members.incarnation": WHO,
            **dict.fromkeys(("members.renewed", "members.joined", "members.left"), SAYS),
        },
    ),
    Kind.CANCEL_R: (CLIENT, {**STREAM, "floor": WHICH, **RUNS, **ranges("ranges")}),
    Kind.CANCEL_N: (SERVER, {**STREAM, "floor": WHICH, "base": WHICH, **ranges("ranges")}),
    Kind.STATUS_R: (CLIENT, {**STREAM, "floor": WHICH, **RUNS, **ranges("ranges")}),
    Kind.STATUS_N: (SERVER, {**STREAM, "floor": WHICH, "base": WHICH}),
    Kind.STATUS_A: (
        SERVER,
        {**STREAM, "ordinal": WHO, "store_epoch": WHO, **ranges("asked", "stored")},
    ),
    Kind.TALLY: (
        SERVER,
        {
            **STREAM,
            "store_epoch": WHO,
            "as_of": SAYS,
            "entries.verdict": SAYS,
            **ranges("entries.ranges"),
            "entries.first": WHO,
            "entries.bitmap": WHO,
        },
    ),
    Kind.GONE: (SERVER, STREAM),
    Kind.OFFLINE_R: (CLIENT, {"flags": SAYS, "bytes_max": SAYS}),
    Kind.OFFLINE_A: (
        SERVER,
        {
            **STREAM,
            **dict.fromkeys(("batch", "total", "has_section"), SAYS),
            **dict.fromkeys(("floor", "base"), WHICH),
            **ranges("void"),
            **SECTION,
        },
    ),
    Kind.OFFLINEACK_R: (CLIENT, {**STREAM, **ranges("delivered", "void", "settled")}),
    Kind.NUDGE: (SERVER, {"flags": SAYS}),
    Kind.GROUP_R: (
        CLIENT,
        {"flags": SAYS, "request": WHO, "action": SAYS, "group": WHO, "user": WHO},
    ),
    Kind.GROUP_A: (SERVER, {"flags": SAYS, "request": WHO, "code": SAYS, "names": WHO}),
    Kind.SIGNAL_R: (CLIENT, {"flags": SAYS, "conversation": WHO, "payload": SAYS}),
    Kind.SIGNAL_N: (
        SERVER,
        {"flags": SAYS, "user": WHO, "device": WHO, "conversation": WHO, "payload": SAYS},
    ),
    Kind.PRESENCE_R: (CLIENT, {"flags": SAYS, "request": WHO, "user": WHO}),
    Kind.PRESENCE_A: (
        SERVER,
        {
            "flags": SAYS,
            "request": WHO,
            "code": SAYS,
            "devices.device": WHO,
            "devices.online": SAYS,
            "devices.seen_s": SAYS,
        },
    ),
    Kind.READ_R: (CLIENT, {**STREAM, "read": WHICH}),
    Kind.READ_N: (SERVER, {**STREAM, "ordinal": WHO, "incarnation": WHO, "read": WHICH}),
    Kind.READ_A: (SERVER, {**ANSWER, "read": WHICH}),
    Kind.LOGIN: (
        CLIENT,
        {
            "flags": SAYS,
            **dict.fromkeys(("user", "device", "token", "incarnation"), WHO),
            "login_count": SAYS,
        },
    ),
    Kind.LOGIN_OK: (
        SERVER,
        {
            "flags": SAYS,
            "store_epoch": WHO,
            "payload_bytes_max": SAYS,
            "window": SAYS,
        },
    ),
    Kind.LOGIN_REFUSED: (SERVER, {"flags": SAYS, "code": SAYS, "reason": SAYS}),
}
"""Who sends each kind, and what each field of its declaration is."""

WHOLE = "*"
"""Stands for all identities of a packet at once: the victim's own packet, said by another."""

OWN_STREAM = "a stream, its seqs and its members are the sender's own: it is another stream"
IN_OWN_NAME = "anybody may write, signal or look, and it is said who does"
OWN_NUMBER = "each session counts its questions by itself"
HARMLESS = {
    (Kind.MSG_R, "handle"): OWN_NUMBER,
    (Kind.MSG_R, "name.incarnation"): OWN_STREAM,
    (Kind.MSG_R, "name.conversation"): IN_OWN_NAME,
    (Kind.MSG_R, "floor"): OWN_STREAM,
    (Kind.MSG_R, "runs.first"): OWN_STREAM,
    (Kind.MSG_R, "settled"): OWN_STREAM,
    (Kind.MSG_R, "section.first"): OWN_STREAM,
    **{
        (kind, field): OWN_STREAM
        for kind in (Kind.CANCEL_R, Kind.STATUS_R)
        for field in (
            *("handle", "name.incarnation", "name.conversation", "floor", "runs.first"),
            *("ranges.first", "ranges.last"),
        )
    },
    **{
        (kind, field): OWN_STREAM + ", and who is written to says what has come"
        for kind in (Kind.ACK_R, Kind.OFFLINEACK_R)
        for field in (
            *("handle", "delivered.first", "delivered.last", "void.first", "void.last"),
            *("settled.first", "settled.last"),
        )
    },
    (Kind.READ_R, "handle"): OWN_NUMBER,
    (Kind.READ_R, "read"): "who is written to says what was read",
    (Kind.GROUP_R, "request"): OWN_NUMBER,
    (Kind.GROUP_R, "group"): "who is no member may leave: nothing happens",
    (Kind.SIGNAL_R, "conversation"): IN_OWN_NAME,
    (Kind.SIGNAL_R, WHOLE): IN_OWN_NAME,
    (Kind.PRESENCE_R, "request"): OWN_NUMBER,
}
"""Forgeries that are nothing but what the forger may do anyway, and so are not counted."""


# --- What the declarations say ---

LEAVES = (construct.FormatField, construct.Bytes, construct.GreedyBytes.__class__)
NOTHING = (construct.Terminated.__class__, construct.Pass.__class__)


def declared(node, path=""):
    """The fields of a declaration, those of what is in it with a point between the names."""
    if isinstance(node, construct.Renamed):
        if node.name is None:  # a check
            return
        yield from declared(node.subcon, f"{path}.{node.name}" if path else node.name)
    elif isinstance(node, construct.FocusedSeq):  # a counted list
        (items,) = (part for part in node.subcons if part.name == "items")
        yield from declared(items.subcon, path)
    elif isinstance(node, construct.Struct):
        for part in node.subcons:
            yield from declared(part, path)
    elif isinstance(node, construct.IfThenElse):
        yield from declared(node.thensubcon, path)
        yield from declared(node.elsesubcon, path)
    elif isinstance(node, construct.Subconstruct):
        yield from declared(node.subcon, path)
    elif isinstance(node, LEAVES):
        yield path
    else:
        assert isinstance(node, NOTHING), f"{path}: {node} is new in a declaration"


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.label)
def test_every_packet_and_every_field_of_the_declarations_is_classified(kind):
    fields = set(declared(im_schema.SCHEMAS[kind])) - {"kind"}
    assert fields == set(TABLE[kind][1])
    assert set(TABLE[kind][1].values()) <= {WHO, WHICH, ABSENT, SAYS}
    if ABSENT in TABLE[kind][1].values():
        named = im_schema.parse(im_codec.encode(samples(SOME)[kind][0]))
        named.flags, named.name = im_schema.FLAG_NAMED, SOME._asdict()
        with pytest.raises(construct.ConstructError):
            im_schema.SCHEMAS[kind].build(named)


def test_no_kind_is_missing_and_what_is_harmless_is_an_identity():
    assert set(Kind) == set(TABLE) == set(im_schema.SCHEMAS)
    for kind, field in HARMLESS:
        assert CLIENT == TABLE[kind][0]
        assert field == WHOLE or SAYS != TABLE[kind][1][field]


# --- Two packets of each kind: what Mallory may say, and what somebody else could ---

MALLORY, MALLORYS = "mallory", 7 << 60
SOME = StreamId("alice", "phone", 5, "bob")


def samples(victims):
    """By kind: an honest packet of Mallory's, and one with the victims' identities.

    Args:
        victims: Alice's stream to Bob; seqs 1 to 3 of it are receipted, 4 to 6 are on their way.
    """
    mine = StreamId("", "", MALLORYS, MALLORY)
    to_me = StreamId("zoe", "z", 9, MALLORY)
    runs, r = (p.EpochRun(2, 1),), ((7, 8),)
    theirs, own = ((4, 5),), (p.EpochRun(1, 1),)
    section, stolen = (msg(n, b"forged", name=mine).section for n in (7, 4))
    member = p.Member(5, "zoe", "z", 9, 1, 1, 0)
    bob = p.Member(0, "bob", "tablet", 3, 1, 1, 0)
    entry, other = p.TallyEntry(0, r, 9, 2), p.TallyEntry(0, theirs, 0, 1)
    return {
        Kind.MSG_R: (
            p.MsgR(1, mine, 1, own, 0, section),
            p.MsgR(2, victims, 4, runs, 1, stolen),
        ),
        Kind.MSG_A: (p.MsgA(1, 5, r), p.MsgA(2, 5, theirs)),
        Kind.MSG_N: (p.MsgN(1, mine, 1, 1, section), p.MsgN(2, victims, 4, 4, stolen)),
        Kind.ACK_R: (
            p.AckR(1, to_me, False, ((1, 1),), ((2, 2),), ((3, 3),)),
            p.AckR(2, victims, False, ((4, 5),), ((6, 7),), ((8, 9),)),
        ),
        Kind.ACK_A: (p.AckA(1, r), p.AckA(2, theirs)),
        Kind.ACK_N: (
            p.AckN(1, mine, 9, 8, 7, r, r, r, r),
            p.AckN(2, victims, 0, 3, 1, theirs, theirs, theirs, theirs),
        ),
        Kind.REFUSE: (p.Refuse(1, 22, r, "zoe"), p.Refuse(2, 22, theirs, "bob")),
        Kind.MEMBERS: (
            p.Members(1, mine, True, 9, 2, (member,)),
            p.Members(2, victims, True, 1, 2, (bob,)),
        ),
        Kind.CANCEL_R: (
            p.CancelR(1, mine, 1, own, r),
            p.CancelR(2, victims, 4, runs, theirs),
        ),
        Kind.CANCEL_N: (p.CancelN(1, mine, 1, 1, r), p.CancelN(2, victims, 4, 4, theirs)),
        Kind.STATUS_R: (
            p.StatusR(1, mine, 1, own, r),
            p.StatusR(2, victims, 4, runs, theirs),
        ),
        Kind.STATUS_N: (p.StatusN(1, mine, 1, 1), p.StatusN(2, victims, 4, 4)),
        Kind.STATUS_A: (
            p.StatusA(1, mine, 9, 9, r, r),
            p.StatusA(2, victims, 0, 1, theirs, theirs),
        ),
        Kind.TALLY: (p.Tally(1, mine, 9, 9, (entry,)), p.Tally(2, victims, 1, 9, (other,))),
        Kind.GONE: (p.Gone(1, mine), p.Gone(2, victims)),
        Kind.OFFLINE_R: (p.OfflineR(9999), p.OfflineR(9999)),
        Kind.OFFLINE_A: (
            p.OfflineA(1, mine, 1, 1, False, 1, 1, r, section),
            p.OfflineA(2, victims, 1, 1, False, 4, 4, theirs, stolen),
        ),
        Kind.OFFLINEACK_R: (
            p.AckR(1, to_me, True, ((1, 1),), ((2, 2),), ((3, 3),)),
            p.AckR(2, victims, True, ((4, 5),), ((6, 7),), ((8, 9),)),
        ),
        Kind.NUDGE: (p.Nudge(), p.Nudge()),
        Kind.GROUP_R: (
            p.GroupR(9, GroupAction.LEAVE, "#none", ""),
            p.GroupR(1, GroupAction.LEAVE, "#friends", "bob"),
        ),
        Kind.GROUP_A: (p.GroupA(9, 0, ("zoe",)), p.GroupA(1, 0, ("bob",))),
        Kind.SIGNAL_R: (p.SignalR("nobody", b"forged"), p.SignalR("bob", b"forged")),
        Kind.SIGNAL_N: (
            p.SignalN("zoe", "z", "zoe", b"forged"),
            p.SignalN("alice", "phone", "bob", b"forged"),
        ),
        Kind.PRESENCE_R: (p.PresenceR(9, "nobody"), p.PresenceR(1, "alice")),
        Kind.PRESENCE_A: (
            p.PresenceA(9, 0, (p.DeviceSeen("z", True, 0),)),
            p.PresenceA(1, 0, (p.DeviceSeen("phone", True, 0),)),
        ),
        Kind.READ_R: (p.ReadR(1, to_me, 1), p.ReadR(2, victims, 5)),
        Kind.READ_N: (p.ReadN(1, mine, 9, 9, 7), p.ReadN(2, victims, 0, 3, 5)),
        Kind.READ_A: (p.ReadA(1, 7), p.ReadA(2, 5)),
        Kind.LOGIN: (
            p.Login(MALLORY, "m", b"mallory's", MALLORYS, 99),
            p.Login("alice", "phone", b"alice's", victims.incarnation, 99),
        ),
        Kind.LOGIN_OK: (p.LoginOk(9, True, True, 99, 9), p.LoginOk(1, True, True, 99, 9)),
        Kind.LOGIN_REFUSED: (p.LoginRefused(1, "no"), p.LoginRefused(1, "no")),
    }


def identities(kind):
    return [field for field, class_ in TABLE[kind][1].items() if class_ in (WHO, WHICH)]


def at(container, path):
    """What stands at a path, of a list what stands in its first element."""
    for name in path.split("."):
        container = container[0] if isinstance(container, list) else container
        container = container[name]
    return container


def put(container, path, value):
    *before, last = path.split(".")
    for name in before:
        container = container[0] if isinstance(container, list) else container
        container = container[name]
    container = container[0] if isinstance(container, list) else container
    container[last] = value


def forge(kind, field, victims):
    """Bytes of Mallory's packet with one identity of the victims' in it, or all of them."""
    honest, victim = (im_schema.parse(im_codec.encode(one)) for one in samples(victims)[kind])
    if field == WHOLE:
        return im_codec.encode(samples(victims)[kind][1])
    put(honest, field, at(victim, field))
    if field.endswith(".last"):  # a range that begins after its end is nothing to look at
        put(honest, field[:-4] + "first", min(at(honest, field), at(honest, field[:-4] + "first")))
    elif field.endswith(".first") and field[:-5] + "last" in TABLE[kind][1]:
        put(honest, field[:-5] + "last", max(at(honest, field), at(honest, field[:-5] + "last")))
    return im_schema.SCHEMAS[kind].build(honest)


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.label)
def test_every_identity_is_another_in_the_victims_packet_and_every_forgery_can_be_read(kind):
    honest, victim = (im_schema.parse(im_codec.encode(one)) for one in samples(SOME)[kind])
    for field in identities(kind):
        assert at(honest, field) != at(victim, field), field
        assert im_codec.encode(samples(SOME)[kind][0]) != forge(kind, field, SOME), field
        assert im_codec.decode(forge(kind, field, SOME)) is not None


# --- The world in which they are said ---


class World:
    """Alice has written to Bob, some of it is not receipted, and some waits for Carol and Dave."""

    def __init__(self):
        self.net = Net()
        self.server = self.net.server()
        self.server.may_see = lambda endpoint, subject: endpoint.user == subject
        self.server.verdict = lambda endpoint, secret: (
            None if secret == f"{endpoint.user}'s".encode() else "wrong credentials"
        )
        self.alice, self.bob = self.client("alice", "phone"), self.client("bob", "tablet")
        self.alice.online(), self.bob.online()
        for name in ("carol", MALLORY):
            away = self.client(name, "away").online()
            away.node.close(self.net.now)
        for user, action in (("alice", GroupAction.CREATE), ("bob", GroupAction.JOIN)):
            self.server.node.change_group(action, "#friends", user, lambda ok: None)
            self.net.run(0.1)
        self.stream = self.send("bob", 3)
        self.send("carol", 3)
        self.send("#friends", 2)
        self.send(MALLORY, 2)
        self.net.run(2)
        self.net.drop = lambda source, to, data: source == self.bob.address
        self.send("bob", 3)
        self.net.run(0.3)
        self.sessions = 0

    def client(self, user, device):
        return self.net.client(user, device, token=f"{user}'s".encode())

    def send(self, to, count):
        stream, _ = self.alice.send(to, *[b"honest %d" % n for n in range(count)])
        return stream.id

    def mallory(self):
        """Return another connection of Mallory's, logged in."""
        self.sessions += 1
        raw = dialled(self.net, f"m{self.sessions}")
        raw.send(p.Login(MALLORY, "m", b"mallory's", MALLORYS, self.sessions))
        self.net.run(0.1)
        assert 1 == len(raw.of(p.LoginOk)), raw.packets
        raw.packets.clear()
        return raw

    def drops(self):
        node = self.server.node
        counted = (node.drops, node.router.drops, node.hop_totals().drops)
        return sum(sum(reasons.values()) for reasons in counted)

    def digest(self):
        """All that is known of Alice, Bob and Carol; what speaks of Mallory is left out."""
        router = self.server.node.router
        parts = {
            "server": self.server.store.state,
            "alice": self.alice.store.state,
            "bob": self.bob.store.state,
            "shown": self.alice.states,
            "got": [run for run in runs(self.bob) if run[0].user != MALLORY],
            "links": [self.alice.links(), self.bob.links()],
            "groups": {"#friends": tuple(router.groups.get("#friends").users)},
            "sessions": {
                endpoint: session_digest(session)
                for endpoint, session in router.sessions.items()
                if endpoint.user != MALLORY
            },
            "queue": {
                endpoint: router.queue.count(endpoint)
                for endpoint in (Endpoint("carol", "away"), Endpoint("bob", "tablet"))
            },
        }
        return sorted(line for line in leaves(parts) if MALLORY not in line)


def runs(client):
    return [
        (run.stream, message)
        for event in client.events
        for run in getattr(event, "runs", ())
        for message in run.messages
    ]


def session_digest(session: Session):
    pushes = {
        stream: (list(push.unreceipted), list(push.cancels), push.floor, push.base)
        for stream, push in session.pushes.items()
        if stream.user != MALLORY
    }
    floors = {stream: floor for stream, floor in session.floors.items()}
    return {"incarnation": session.incarnation, "pushes": pushes, "floors": floors}


PASSES = ("_arrivals", "_checks", "_steps", "'age_s'", "'changes'")
"""Of a store's state: what counts time or everybody's rows, and what is none."""


def leaves(value, path=""):
    """Everything in a value as lines, without an order."""
    if any(path.endswith(name) for name in PASSES):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}/{key!r}")
    elif isinstance(value, list | set):
        for item in value:
            yield from leaves(item, path)
    elif type(value).__module__.startswith("udpim") and not isinstance(value, tuple):
        names = getattr(value, "__dict__", None) or getattr(type(value), "__slots__", ())
        for name in names:
            yield from leaves(getattr(value, name), f"{path}.{name}")
    else:
        yield f"{path} = {value!r}"


def refusals(raw):
    """What Mallory was told no by."""
    return [
        packet
        for packet in raw.packets
        if isinstance(packet, p.Refuse | p.LoginRefused)
        or (isinstance(packet, p.GroupA | p.PresenceA) and packet.code)
    ]


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.label)
def test_nobody_is_spoken_for(kind):
    """Cross-user injection: every message type × every id field."""
    world = World()
    before = world.digest()
    assert len(before) > 40
    for field in [*identities(kind), WHOLE]:
        raw = world.mallory()
        assert before == world.digest(), "honest logins change nothing either"
        counted = world.drops()
        raw.send(im_codec.decode(forge(kind, field, world.stream)))
        world.net.run(0.4)
        assert before == world.digest(), field
        if TABLE[kind][0] is SERVER:
            assert "IM packet not acceptable now" in world.server.node.hop_totals().drops
        if (kind, field) not in HARMLESS and identities(kind):
            assert counted < world.drops() or refusals(raw), field
        raw.connection.close(0, "", world.net.now)
    world.net.drop = lambda source, to, data: False
    world.send("bob", 3)
    world.net.run(20)
    assert_all_is_true(world)


@pytest.mark.parametrize(
    "kind", [Kind.MSG_R, Kind.CANCEL_R, Kind.STATUS_R], ids=lambda kind: kind.label
)
def test_a_handle_that_was_given_to_another_ones_stream_is_no_way_to_write_in_it(kind):
    """A recipient may name any stream, and a later packet may leave the name out."""
    world = World()
    before, raw = world.digest(), world.mallory()
    raw.send(p.AckR(2, world.stream, False, (), ()))
    world.net.run(0.2)
    raw.send(samples(world.stream)[kind][1]._replace(name=None))
    world.net.run(0.4)
    assert before == world.digest()
    assert {"IM packet not acceptable now"} == world.server.node.hop_totals().drops.keys()


QUESTIONS = {
    "leave for Bob": (GroupAction.LEAVE, "#friends", "bob", GroupCode.FORBIDDEN),
    "leave for its owner": (GroupAction.LEAVE, "#friends", "alice", GroupCode.FORBIDDEN),
    "bring a third one in": (GroupAction.JOIN, "#friends", "carol", GroupCode.FORBIDDEN),
    "see who belongs to it": (GroupAction.LIST, "#friends", "", GroupCode.FORBIDDEN),
    "see where Bob belongs": (GroupAction.LIST, "", "bob", GroupCode.DONE),
    "be its creator, too": (GroupAction.CREATE, "#friends", "", GroupCode.EXISTS),
    "be its creator for Bob": (GroupAction.CREATE, "#friends", "bob", GroupCode.FORBIDDEN),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_nobody_is_asked_for_a_group_on_behalf_of_another(question):
    action, group, user, code = QUESTIONS[question]
    world = World()
    before, raw = world.digest(), world.mallory()
    raw.send(p.GroupR(1, action, group, user))
    world.net.run(0.4)
    assert [(code, ())] == [(answer.code, answer.names) for answer in raw.of(p.GroupA)]
    assert before == world.digest()


@pytest.mark.parametrize("kind", set(Kind) - {Kind.LOGIN}, ids=lambda kind: kind.label)
def test_without_a_login_nothing_is_taken(kind):
    world = World()
    before, raw = world.digest(), dialled(world.net, "nobody")
    raw.send(samples(world.stream)[kind][1])
    world.net.run(0.4)
    assert {"IM packet not acceptable now"} == world.server.node.hop_totals().drops.keys()
    assert ([], before) == (raw.packets, world.digest())


@pytest.mark.parametrize("user", ["alice", "bob", MALLORY])
def test_nobody_logs_in_by_somebody_elses_token(user):
    world = World()
    before, raw = world.digest(), dialled(world.net, "nobody")
    raw.send(p.Login(user, "phone", b"zoe's", MALLORYS, 9))
    world.net.run(0.4)
    assert ["wrong credentials"] == [refused.reason for refused in raw.of(p.LoginRefused)]
    assert before == world.digest()


@pytest.mark.parametrize(
    "kind", [kind for kind in Kind if TABLE[kind][0] is CLIENT], ids=lambda kind: kind.label
)
@pytest.mark.parametrize("online", [True, False], ids=["online", "logging in"])
def test_a_client_takes_nothing_that_only_clients_say(kind, online):
    net = Net()
    raw, alice = net.raw_server(), net.client("alice", "phone")
    alice.connect()
    (stream, _) = alice.send("bob", b"mine")
    net.run(0.2)
    if online:
        raw.send(p.LoginOk(77, True, True, 1000, 1024))
        net.run(0.2)
    before = sorted(leaves(alice.store.state)), alice.shown(), len(alice.events)
    raw.send(samples(stream.id)[kind][1])
    net.run(0.4)
    assert {"IM packet not acceptable now"} == alice.node.hop_totals().drops.keys()
    assert before == (sorted(leaves(alice.store.state)), alice.shown(), len(alice.events))


def assert_all_is_true(world):
    """Bob has got what Alice wrote, once and in order, and she knows; so do the groups."""
    honest = [b"honest %d" % n for n in (0, 1, 2)]
    got = runs(world.bob)
    assert honest * 3 == [message[2] for stream, message in got if stream == world.stream]
    assert all(b"forged" not in message[2] for stream, message in got if stream.user != MALLORY)
    states = {}
    for (stream, _), state in world.alice.states.items():
        states.setdefault(stream.conversation, []).append(state)
    assert ["DELIVERED"] * 9 == states["bob"]
    assert ["STORED"] * 3 == states["carol"]
    assert ["DELIVERED"] * 2 == states["#friends"]
    signals = [s for event in world.bob.events for s in getattr(event, "signals", ())]
    assert {MALLORY} >= {signal.user for signal in signals}
    assert ("ONLINE", "ONLINE") == (world.alice.links()[-1], world.bob.links()[-1])
