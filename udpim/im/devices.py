"""The server's register of users and their devices (PROTOCOL §5.5).

Every change of a membership, and every new incarnation, has a number of its own that rises over the
whole store: it is the membership epoch of what changed. A device's ordinal counts the devices that
its user ever had, in order of appearance, and is never reused; a retired device leaves its line.
"""

from __future__ import annotations

from collections.abc import Sequence

from udpim.config import RETIRED_INCARNATIONS_MAX
from udpim.im.epoch_runs import epoch_at
from udpim.im.records import DeviceRecord
from udpim.model import Endpoint, StreamId
from udpim.wire.im_packets import EpochRun


class Registry:
    """Every registered device, by user."""

    def __init__(self, records: Sequence[DeviceRecord], changes: int = 0) -> None:
        """Restore from a snapshot. ``changes`` is the highest number given so far."""
        self.changes = changes
        self._users: dict[str, dict[str, DeviceRecord]] = {}
        self._present: dict[str, dict[str, DeviceRecord]] = {}
        """Without those that are retired."""
        self._latest: dict[str, dict[str, DeviceRecord]] = {}
        """With the logins whose transactions are on their way."""
        self._epochs: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        for record in records:
            self.put(record)
            self.changes = max(self.changes, record.joined, record.renewed, record.left)

    def next_change(self) -> int:
        """Give a number to a change that is about to be committed."""
        self.changes += 1
        return self.changes

    def devices(self, user: str) -> dict[str, DeviceRecord]:
        """Return the user's devices by name, without retired ones; empty for an unknown user."""
        return self._present.get(user, {})

    def knows(self, user: str) -> bool:
        """Tell whether the user has, or had, a device."""
        return user in self._users

    def epoch(self, user: str) -> int:
        """Return the number of the user's last join or leave of a device; 0 if unknown."""
        return self._epochs.get(user, 0)

    def number(self, user: str) -> int:
        """Return the number of the last change, of incarnations too, in the user's lines."""
        return self._numbers.get(user, 0)

    def sizes(self) -> dict[str, int]:
        """Return how many users and devices are registered."""
        devices = sum(map(len, self._present.values()))
        return {"registered_users": len(self._users), "registered_devices": devices}

    def get(self, endpoint: Endpoint) -> DeviceRecord | None:
        """Return the record of one endpoint, None if it is unknown or retired."""
        return self.devices(endpoint.user).get(endpoint.device)

    def everybody(self) -> list[DeviceRecord]:
        """Return every device that is not retired."""
        return [record for devices in self._present.values() for record in devices.values()]

    def latest(self, user: str) -> dict[str, DeviceRecord]:
        """Return the user's devices with what is not durable yet, of which nobody may be told."""
        return self._latest.setdefault(user, {})

    def latest_count(self, user: str) -> int:
        """Return how many of these are not retired."""
        return sum(not record.left for record in self._latest.get(user, {}).values())

    def put(self, record: DeviceRecord) -> None:
        """Insert or replace a device, durably."""
        user, device = record.user, record.device
        self._users.setdefault(user, {})[device] = record
        self.latest(user).setdefault(device, record)
        present = self._present.setdefault(user, {})
        if record.left:
            present.pop(device, None)
        else:
            present[device] = record
        self._epochs[user] = max(self._epochs.get(user, 0), record.joined, record.left)
        self._numbers[user] = max(self._numbers.get(user, 0), record.renewed, self._epochs[user])

    def undo(self, record: DeviceRecord) -> None:
        """This record did not become durable; a later one that is on its way stays."""
        devices = self.latest(record.user)
        if devices.get(record.device) is record:
            durable = self._users.get(record.user, {}).get(record.device)
            if durable is None:
                del devices[record.device]
            else:
                devices[record.device] = durable

    def reached(self, endpoint: Endpoint, incarnation: int, mark: int) -> DeviceRecord | None:
        """A session's messages bore stamps up to ``mark``: a later login must be above it (R7).

        Returns:
            The record to commit, if it changed.
        """
        record = self.latest(endpoint.user)[endpoint.device]
        if record.incarnation != incarnation or record.login_count >= mark:
            return None
        record = record._replace(login_count=mark)
        self.latest(endpoint.user)[endpoint.device] = record
        self.put(record)
        return record

    def seen(self, endpoint: Endpoint, age_s: int) -> DeviceRecord:
        """Note when a device was last seen; returns the record to commit."""
        record = self.latest(endpoint.user)[endpoint.device]._replace(seen_s=age_s)
        self.latest(endpoint.user)[endpoint.device] = record
        self.put(record)
        return record

    def is_stale(self, endpoint: Endpoint, incarnation: int, login_count: int) -> bool:
        """Tell whether this login comes from a store that was restored from an old copy (R7)."""
        record = self._latest.get(endpoint.user, {}).get(endpoint.device)
        if record is None:
            return False
        if incarnation in record.retired:
            return True
        return incarnation == record.incarnation and login_count <= record.login_count

    def logged_in(
        self,
        endpoint: Endpoint,
        incarnation: int,
        login_count: int,
        *,
        continues: bool = False,
        age_s: int = 0,
    ) -> DeviceRecord:
        """Return the endpoint's record as it is after this login.

        The caller commits it, and then calls `put`. A retired name registers anew (R5).
        """
        user, device = endpoint
        latest = self.latest(user)
        old = latest.get(device)
        if old is None or old.left:
            ordinal = 1 + max((record.ordinal for record in latest.values()), default=-1)
            number = self.next_change()
            retired = () if old is None else _retired(old, incarnation)
            record = DeviceRecord(
                user, device, ordinal, number, incarnation, retired, login_count, renewed=number
            )
        elif old.incarnation == incarnation:
            record = old._replace(login_count=login_count)
        else:
            record = old._replace(
                incarnation=incarnation,
                retired=_retired(old, incarnation),
                login_count=login_count,
                renewed=self.next_change(),
            )
        record = latest[device] = record._replace(continues=continues, seen_s=age_s)
        return record

    def retire(self, endpoint: Endpoint) -> DeviceRecord:
        """Return the record of a device that nobody waits for any more (R5)."""
        latest = self.latest(endpoint.user)
        record = latest[endpoint.device]._replace(left=self.next_change())
        latest[endpoint.device] = record
        return record

    def has_ended(self, stream: StreamId) -> bool:
        """Tell whether its sender has come back as another incarnation and left nothing open."""
        record = self.get(Endpoint(stream.user, stream.device))
        return (
            record is not None and record.incarnation != stream.incarnation and not record.continues
        )

    def is_sender(self, stream: StreamId) -> bool:
        """Tell whether such a stream can exist: its sender logged in with this incarnation."""
        record = self.get(Endpoint(stream.user, stream.device))
        if record is None:
            return False
        return stream.incarnation in (record.incarnation, *record.retired)


def _retired(old: DeviceRecord, incarnation: int) -> tuple[int, ...]:
    """Older incarnations of a device that logs in with this one."""
    known = old.retired if old.incarnation == incarnation else (*old.retired, old.incarnation)
    return known[-RETIRED_INCARNATIONS_MAX:]


def base_for(runs: Sequence[EpochRun], floor: int, joined: int) -> int | None:
    """Return the first seq ≥ floor that is due to an endpoint that joined at epoch ``joined``.

    Returns:
        None when nothing in the head is due to it.
    """
    for run in runs:
        if run.epoch >= joined:
            return max(floor, run.first)
    return None


def epochs_known(runs: Sequence[EpochRun], first: int, last: int, epoch: int) -> bool:
    """Tell whether every seq of first..last carries an epoch between 1 and ``epoch``."""
    return epoch_at(runs, first) >= 1 and epoch_at(runs, last) <= epoch
