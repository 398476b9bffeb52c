"""Planted bugs of a server of several processes; they join those of `tests.sim.plants`."""

from tests.sim.plants import PLANTS, bug
from udpim.cluster.door import Door
from udpim.cluster.election import Election
from udpim.cluster.frames import decode, encode
from udpim.cluster.role import Role
from udpim.store.fence import Fence
from udpim.testing.cluster.directory import VirtualDirectory
from udpim.testing.cluster.disk import FencedDisk, PlainFence

__all__ = ["PLANTS"]


@bug("§8.2: a transaction fails unless its epoch stands in the store")
def fence_is_not_checked(planting):
    for fence in (Fence, PlainFence):

        @planting.replace(fence, "check")
        def check(original, self):
            pass


@bug("§8.2: a fence is raised only above what stands there")
def fence_is_raised_to_what_stands_there(planting):
    for fence in (Fence, PlainFence):

        @planting.replace(fence, "raise_it")
        def raise_it(original, self):
            self._epoch = max(self._epoch, self._found())
            if self._epoch > self._found():
                original(self)


@bug("§8.1: a new home takes a higher epoch than the one before")
def epoch_stays(planting):
    @planting.replace(VirtualDirectory, "claim")
    def claim(original, self, node, seen, least_epoch=1):
        lease = original(self, node, seen, least_epoch)
        if lease is None or seen is None or least_epoch > seen.epoch:
            return lease
        self.lease = lease._replace(epoch=seen.epoch)
        return self.lease


@bug("§8.3: frames of another epoch are dropped")
def frames_of_another_epoch_pass(planting):
    @planting.replace(Door, "receive_frames")
    def receive_frames(original, self, frames):
        epoch = 0 if self._home is None else self._home.epoch
        original(self, [encode(decode(raw)._replace(epoch=epoch)) for raw in frames])


@bug("§8.1: after its lease a home takes nothing from clients")
def home_goes_on_after_its_lease(planting):
    @planting.replace(Role, "_receive")
    def receive(original, self, burst):
        self._good_until = self._process.now() + 1
        original(self, burst)


@bug("§8.1: a home whose lease is another's steps down")
def lost_lease_is_not_noticed(planting):
    @planting.replace(Role, "_renew")
    async def renew(original, self):
        await original(self)
        return False


@bug("§8.1: a lease without a change runs out")
def lease_never_runs_out(planting):
    @planting.replace(Election, "may_claim")
    def may_claim(original, self, now, *, dead):
        return original(self, min(now, self._changed_at or now), dead=dead)


@bug("§8.1: a lease is changed only if it still is what was seen")
def claim_does_not_compare(planting):
    @planting.replace(VirtualDirectory, "claim")
    def claim(original, self, node, seen, least_epoch=1):
        return original(self, node, self.lease, least_epoch)


@bug("§8.3: the home takes an address together with its gate")
def answers_leave_by_the_homes_own_port(planting):
    @planting.replace(Door, "receive_frames")
    def receive_frames(original, self, frames):
        inward = self._inward
        if inward is not None:
            self._inward = lambda burst: inward(
                [(data, (host.partition("@")[0], port)) for data, (host, port) in burst]
            )
        original(self, frames)
        self._inward = inward


@bug("§8.2: a process that is the home again has forgotten what it knew")
def second_term_goes_on_from_the_first(planting):
    known = {}

    @planting.replace(FencedDisk, "server_snapshot")
    def server_snapshot(original, self):
        disk = self._shared.disk
        if (self, disk) not in known:
            known[self, disk] = original(self)
        return known[self, disk]
