"""What a process does about the lease, call by call, without a loop, a thread or a store."""

import pytest

from udpim.cluster.directory import Lease
from udpim.cluster.door import Door
from udpim.cluster.role import Role
from udpim.errors import StoreError, StoreFenced, StoreLocked

LEASE_S = 3.0


class Enough(BaseException):
    """Ends a role's loop after the rests that a test wants."""


class Process:
    """Does at once what a role asks for, and notes it; calls can be told to fail."""

    def __init__(self, lease=None):
        self.time = 100.0
        self.lease = lease
        self.fence = 0
        self.did = []
        self.fails = {}
        self.dead = set()
        self.rests = 0
        self.loads = 0
        self.bursts = []
        self.role = Role(self, Door("me", None, None), LEASE_S)

    def play(self, rests=1):
        """Take part for so many rests."""
        self.rests = rests
        with pytest.raises(Enough):
            self.role.take_part().send(None)

    def _call(self, name):
        self.did.append(name)
        if error := self.fails.pop(name, None):
            raise error

    def now(self):
        return self.time

    async def look(self):
        self._call("look")
        return self.lease

    async def claim(self, seen, least_epoch):
        self._call("claim")
        if seen != self.lease:
            return None
        self.lease = Lease("me", max(least_epoch, seen.epoch + 1 if seen else 1), 0)
        return self.lease

    async def renew(self, lease):
        self._call("renew")
        if self.lease[:2] != lease[:2]:
            return None
        self.lease = lease._replace(beats=lease.beats + 1)
        return self.lease

    async def release(self, lease):
        self._call("release")
        if self.lease[:2] == lease[:2]:
            self.lease = lease._replace(node="")

    def is_dead(self, node):
        return node in self.dead

    def begin(self, epoch):
        self._call("begin")
        self.epoch = epoch

    async def begun(self, within_s):
        if self.fence >= self.epoch:
            raise StoreFenced("store", "fenced", self.fence)
        self._call("begun")
        self.loads -= 1
        return self.loads < 0

    def serve(self):
        self._call("serve")

    def take(self, burst):
        self.bursts += burst

    async def end(self, *, goodbye):
        self._call(f"end {goodbye}")

    async def rest(self, for_s):
        self.time += for_s
        self.rests -= 1
        if self.rests == 0:
            raise Enough

    def wake(self):
        self.did.append("wake")

    def warn(self, error):
        self.did.append(f"warn {type(error).__name__}")

    def tell(self, role, epoch):
        self.did.append(f"{role} {epoch}")


BECOMES_HOME = ["look", "claim", "begin", "begun", "serve", "home 1"]


@pytest.fixture
def home():
    process = Process()
    process.play()
    assert BECOMES_HOME == process.did
    process.did.clear()
    return process


def test_an_empty_directory_makes_it_the_home_which_then_renews(home):
    home.play(rests=3)
    assert ["renew"] * 3 == home.did
    assert Lease("me", 1, 3) == home.lease == home.role.home
    assert home.role.is_home
    assert 1 == home.role.terms


def test_the_lease_of_another_is_followed_until_it_runs_out():
    process = Process(Lease("other", 7, 0))
    process.play(rests=6)
    assert ["look"] * 6 == process.did
    assert Lease("other", 7, 0) == process.role.home
    process.play()
    assert "home 8" == process.did[-1]


def test_the_lease_of_a_dead_process_is_claimed_at_once():
    process = Process(Lease("other", 7, 0))
    process.dead.add("other")
    process.play()
    assert "home 8" == process.did[-1]


def test_a_claim_that_comes_second_leaves_a_gate():
    process = Process()
    process.is_dead = lambda node: True
    process.lease = Lease("other", 1, 0)
    look = process.look

    async def look_late():
        seen = await look()
        process.lease = Lease("third", 2, 0)
        return seen

    process.look = look_late
    process.play()
    assert ["look", "claim"] == process.did
    assert not process.role.is_home


def test_a_store_that_is_ahead_of_the_directory_is_claimed_above_its_fence():
    process = Process()
    process.fence = 41
    process.play(rests=2)
    assert ["look", "claim", "begin", "release", "wake"] == process.did[:5]
    assert "home 42" == process.did[-1]


def test_a_store_that_cannot_be_used_gives_the_lease_back_and_is_an_error():
    process = Process()
    process.fails["begin"] = StoreError("store", "broken")
    with pytest.raises(StoreError, match="broken"):
        process.play()
    assert "" == process.lease.node


def test_while_a_large_store_is_read_the_lease_is_renewed():
    process = Process()
    process.loads = 2
    process.play()
    assert ["begin", "begun", "renew", "begun", "renew", "begun", "serve"] == process.did[2:-1]


def test_a_lease_that_somebody_took_ends_the_serving(home):
    home.lease = Lease("other", 2, 0)
    home.play(rests=2)
    assert ["renew", "gate 1", "end False", "release", "wake", "look"] == home.did
    assert Lease("other", 2, 0) == home.lease


def test_a_home_that_cannot_renew_goes_on_until_its_lease_ends(home):
    for _ in range(6):
        home.fails["renew"] = StoreLocked("directory", "held")
        home.play()
    assert ["renew", "warn StoreLocked"] * 5 == home.did[:10]
    assert ["renew", "warn StoreLocked", "gate 1", "end False", "release", "wake"] == home.did[10:]


def test_clients_are_not_heard_after_the_lease_until_it_is_renewed(home):
    home.role._door.receive([(b"in time", ("alice", 1))])
    home.time += LEASE_S
    home.role._door.receive([(b"late", ("alice", 1))])
    assert ["wake"] == home.did
    home.play()
    home.role._door.receive([(b"renewed", ("alice", 1))])
    assert [b"in time", b"renewed"] == [data for data, _ in home.bursts]


def test_a_home_that_is_fenced_steps_down_and_claims_above(home):
    home.fence = 9
    home.role.on_fenced(StoreFenced("store", "fenced", 9))
    home.play(rests=2)
    assert ["wake", "warn StoreFenced", "gate 1", "end False", "release", "look"] == home.did[:6]
    assert "home 10" == home.did[-1]


def test_a_directory_that_is_held_is_looked_into_again():
    process = Process()
    process.fails["look"] = StoreLocked("directory", "held")
    process.play(rests=2)
    assert ["look", "warn StoreLocked", *BECOMES_HOME] == process.did


def test_who_leaves_says_goodbye_and_gives_the_lease_back(home):
    home.role.leave()
    with pytest.raises(StopIteration):
        home.role.take_part().send(None)
    home.fails["release"] = StoreError("directory", "gone")
    with pytest.raises(StopIteration):
        home.role.step_down(goodbye=True).send(None)
    assert ["wake", "end True", "release"] == home.did
    assert not home.role.is_home
