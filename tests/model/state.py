"""What A, B and S remember: one class for each table of semantics, without any behaviour of theirs.

`copy` is what a disk does: the copy made at a commit is what a crash leaves.
"""

WINDOW = 4
"""W of the model: so small that random schedules meet both of its edges all the time."""


class Row:
    """A message in A's outbox."""

    __slots__ = (
        "accepted",
        "cancelled",
        "copies",
        "delivered",
        "doubtful",
        "epoch",
        "known",
        "payload",
        "was_due",
    )

    def __init__(self, payload, epoch):
        self.payload = payload
        self.epoch = epoch
        """The membership epoch it is stamped with; 0: S has not told any."""
        self.copies = 0
        """Transmissions begun."""
        self.cancelled = False
        """Given up, refused or withdrawn: nothing but a cancel leaves any more."""
        self.accepted = False
        self.delivered = False
        """Some endpoint has it; shown for good."""
        self.known = {}
        """endpoint → DELIVERED, VOID, SETTLED, EXCUSED or STORED."""
        self.doubtful = False
        """An endpoint that the present store does not know may have it."""
        self.was_due = frozenset()
        """Who was due it under the store before."""

    def copy(self):
        new = Row.__new__(Row)
        new.payload, new.epoch, new.copies = self.payload, self.epoch, self.copies
        new.cancelled, new.accepted, new.delivered = self.cancelled, self.accepted, self.delivered
        new.known = self.known.copy()
        new.doubtful, new.was_due = self.doubtful, self.was_due
        return new


class OutStream:
    """A stream at A. What left before this process began, it does not know."""

    __slots__ = ("durable_floor", "floor", "fresh_from", "id", "next_seq", "rows", "written_from")

    def __init__(self, id_, first):
        self.id = id_
        self.floor = self.durable_floor = self.next_seq = first
        self.written_from = first
        """From here on the rows were written since `Outbox.opened_mark` was noted."""
        self.fresh_from = first
        """No copy of it or a later seq left."""
        self.rows = {}

    def copy(self):
        new = OutStream(self.id, self.floor)
        new.next_seq = new.fresh_from = self.next_seq
        new.written_from = self.written_from
        new.rows = {seq: row.copy() for seq, row in self.rows.items() if seq >= self.floor}
        return new


class Outbox:
    """A's disk."""

    __slots__ = (
        "history",
        "incarnation",
        "incarnations",
        "let_in",
        "mark",
        "numbers",
        "opened_mark",
        "store",
        "streams",
    )

    def __init__(self, incarnation):
        self.incarnation = incarnation
        self.mark = 0
        """Rises with every login and every message."""
        self.let_in = True
        """Whether S has let in the process that runs on it, or the last one that did."""
        self.opened_mark = 0
        """The mark that it had when the first process opened it that was not let in."""
        self.store = 0
        """The store epoch that everything below is about."""
        self.history = ()
        """By membership epoch: who belongs."""
        self.incarnations = {}
        """The newest incarnation heard of, by endpoint."""
        self.numbers = {}
        """Their numbers, which S gave them in the order in which they came to it."""
        self.streams = {}

    def copy(self):
        new = Outbox(self.incarnation)
        new.mark, new.store, new.history = self.mark, self.store, self.history
        new.let_in, new.opened_mark = self.let_in, self.opened_mark
        new.incarnations, new.numbers = self.incarnations.copy(), self.numbers.copy()
        new.streams = {id_: stream.copy() for id_, stream in self.streams.items()}
        return new


class InStream:
    """A stream at B."""

    __slots__ = ("bits", "cum", "floor", "id", "ready", "release_next", "voids")

    def __init__(self, id_, cum, floor):
        self.id = id_
        self.cum = cum
        """Everything up to it is settled."""
        self.bits = {}
        """Above cum: seq → DELIVERED or VOID."""
        self.floor = floor
        self.voids = set()
        """What is void between floor and cum."""
        self.ready = set()
        """In the inbox, not released yet."""
        self.release_next = cum + 1

    def settled(self, seq):
        return seq <= self.cum or seq in self.bits

    def copy(self):
        new = InStream(self.id, self.cum, self.floor)
        new.bits, new.voids = self.bits.copy(), self.voids.copy()
        new.ready, new.release_next = self.ready.copy(), self.release_next
        return new


class Inbox:
    """B's disk."""

    __slots__ = ("incarnation", "mark", "since", "store", "streams")

    def __init__(self, incarnation):
        self.incarnation = incarnation
        self.mark = 0
        self.store = 0
        self.since = (0, 0)
        """The store and the membership epoch of the last joining or leaving heard of."""
        self.streams = {}

    def copy(self):
        new = Inbox(self.incarnation)
        new.mark, new.store, new.since = self.mark, self.store, self.since
        new.streams = {id_: stream.copy() for id_, stream in self.streams.items()}
        return new


class Queued:
    """The offline queue of one stream for one endpoint."""

    __slots__ = ("base", "floor", "items")

    def __init__(self):
        self.floor = self.base = 1
        self.items = {}
        """seq → (payload, again), or None for a void item."""


class Registered:
    """What S knows of a device."""

    __slots__ = ("continues", "disk", "incarnations", "mark")

    def __init__(self):
        self.incarnations = []
        """In the order in which they registered; all but the last one are retired."""
        self.disk = 0
        self.mark = 0
        self.continues = {}
        """Of A's older incarnations, the streams that go on, and the seq at which they end."""

    @property
    def incarnation(self):
        return self.incarnations[-1]

    def number(self, incarnation):
        """R7: which one is newer, S knows by the order of their first logins, and nobody else."""
        return 1 + self.incarnations.index(incarnation)


class Store:
    """The disk that all processes of S share."""

    def __init__(self, epoch):
        self.epoch = epoch
        self.history = [frozenset()]
        self.joined = {}
        """By present member, the epoch at which it joined."""
        self.left = {}
        """By former member, the epoch at which it left."""
        self.devices = {}
        self.queue = {}
        """(endpoint, stream) → Queued."""
        self.receipts = {}
        """(stream, endpoint) → (incarnation, {seq: verdict})."""

    def join(self, endpoint):
        self.history.append(self.history[-1] | {endpoint})
        self.joined[endpoint] = len(self.history) - 1
        self.left.pop(endpoint, None)

    def leave(self, endpoint):
        self.history.append(self.history[-1] - {endpoint})
        del self.joined[endpoint]
        self.left[endpoint] = len(self.history) - 1
