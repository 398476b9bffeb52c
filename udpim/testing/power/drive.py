"""A drive in memory: what is written is volatile until it is synced, and power may be lost.

Below `udpim.testing.power.vfs`. At a loss of power each file keeps what was synced, and of what was
written since any mixture, sector by sector: torn and reordered. Names made or deleted are volatile
until the folder is synced. A process that is killed loses nothing, for the system still has it.

After a failed sync the system forgets what it could not write, as Linux does: programs read it as
long as the power lasts, and a later sync that succeeds says nothing about it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from udpim.testing.choices import Stream

SECTOR_BYTES = 512
GARBAGE = b"\xa5"
GARBAGE_RATIO = 0.05
"""Of the sectors that were being written, how many come out as neither old nor new."""
SURVIVAL_STEPS = 4
"""In one loss everything volatile may be gone, in another nearly all of it is there."""


class PowerLost(Exception):
    """The power went off in this operation."""


class NoRoom(Exception):
    """The drive is full."""


class SyncFailed(Exception):
    """The drive did not confirm a sync; what it holds now is unknown."""


class File:
    """One file's contents.

    Attributes:
        data: As programs read it.
    """

    def __init__(self, data: bytes = b"") -> None:
        """Begin with contents that are synced."""
        self.data = bytearray(data)
        self._durable = bytearray(data)
        # Since the last sync: (offset, bytes) of a write, (size, None) of a change of length.
        self._volatile: list[tuple[int, bytes | None]] = []
        self._doomed: list[tuple[int, bytes | None]] = []

    def write(self, offset: int, data: bytes) -> None:
        """Write; a gap before it reads as zeros."""
        _patch(self.data, offset, data)
        self._volatile.append((offset, data))

    def truncate(self, size: int) -> None:
        """Change the length."""
        _resize(self.data, size)
        self._volatile.append((size, None))

    def sync(self) -> None:
        """Make durable what was written since the last sync, successful or not."""
        for change in self._volatile:
            _change(self._durable, change)
        self._volatile.clear()
        self._doomed.clear()

    def fail_sync(self) -> None:
        """What was written since the last sync will not be synced any more."""
        self._doomed += self._volatile
        self._volatile.clear()

    def survivor(self, choices: Stream, ratio: float) -> bytes:
        """Return what a loss of power leaves.

        Args:
            choices: Decides for each sector: 0 is what was synced, then what each write since
                made of it, then garbage in those of its bytes that were written to.
            ratio: How many sectors do not stay as they were synced.
        """
        changes = self._doomed + self._volatile
        if not changes:
            return bytes(self._durable)
        image, garbage = bytearray(self._durable), bytearray(self._durable)
        sizes = [len(image)]
        versions: dict[int, list[bytes]] = {}
        for change in changes:
            size = len(image)
            _change(image, change)
            offset, data = change
            _change(garbage, (offset, data and GARBAGE * len(data)))
            end = size if data is None else offset + len(data)
            for sector in range(offset // SECTOR_BYTES, -(-end // SECTOR_BYTES)):
                at = sector * SECTOR_BYTES
                versions.setdefault(sector, []).append(bytes(image[at : at + SECTOR_BYTES]))
            if sizes[-1] != len(image):
                sizes.append(len(image))
        size = sizes[choices.decide(_some(len(sizes) - 1, ratio))] if len(sizes) > 1 else sizes[0]
        left = bytearray(self._durable)
        _resize(left, size)
        for sector in sorted(versions):
            written = versions[sector]
            chosen = choices.decide(_sector(len(written), ratio))
            if chosen and sector * SECTOR_BYTES < size:
                at = sector * SECTOR_BYTES
                torn = bytes(garbage[at : at + SECTOR_BYTES])
                content = written[chosen - 1] if chosen <= len(written) else torn
                _patch(left, at, content.ljust(SECTOR_BYTES, b"\0"))
        del left[size:]
        return bytes(left)


class Drive:
    """Files in one folder, under any names.

    Attributes:
        life: Of the processes that use it; what an earlier one has open is stale.
        changes: How many changes were asked for so far: writes, syncs, deletions.
        losses: How often the power was lost.
        room: Whether writes find room; a full drive refuses them.
    """

    def __init__(self, choices: Stream) -> None:
        """Start empty.

        Args:
            choices: Decides what a loss of power leaves.
        """
        self.life = 1
        self.changes = 0
        self.losses = 0
        self.room: Callable[[], bool] = lambda: True
        self._choices = choices
        self._files: dict[str, File] = {}
        self._durable_names: dict[str, File] = {}
        self._cut_at = 0
        self._syncs_until_failure = 0

    # --- What a test does to it ---

    def cut_after(self, changes: int) -> None:
        """Let the power fail in the course of this many changes from now on; 0 is never."""
        self._cut_at = self.changes + changes if changes else 0

    def fail_sync_after(self, syncs: int) -> None:
        """Let this sync from now on fail; 0 is none."""
        self._syncs_until_failure = syncs

    def lose_power(self) -> None:
        """Forget what chance does not save of what was not synced."""
        self._cut_at = 0
        self.losses += 1
        self.life += 1
        choose = self._choices.decide
        ratio = choose(lambda dice: dice.randrange(SURVIVAL_STEPS + 1)) / SURVIVAL_STEPS
        names = dict(self._durable_names)
        for name in sorted(self._files.keys() | names.keys()):
            now, then = self._files.get(name), names.get(name)
            if now is not then and choose(_some(1, ratio)):
                names.pop(name, None)
                if now is not None:
                    names[name] = now
        self._files = {
            name: File(file.survivor(self._choices, ratio)) for name, file in names.items()
        }
        self._durable_names = dict(self._files)

    def kill_process(self) -> None:
        """Let the process die that uses the drive; the system keeps what it wrote."""
        self._cut_at = 0
        self.life += 1

    def header(self, name: str, size: int) -> bytes:
        """Return the first bytes of a file as programs read them; none where there is no file."""
        file = self._files.get(name)
        return b"" if file is None else bytes(file.data[:size])

    def image(self) -> dict[str, bytes]:
        """Return all files as programs read them."""
        return {name: bytes(file.data) for name, file in self._files.items()}

    def load(self, image: dict[str, bytes]) -> None:
        """Put these files in place of all others, synced. Only between two processes."""
        self._files = {name: File(data) for name, data in image.items()}
        self._durable_names = dict(self._files)

    # --- What the system does with it ---

    def find(self, name: str) -> File | None:
        """Return a file that is there."""
        return self._files.get(name)

    def make(self, name: str, *, durable: bool) -> File:
        """Return a new file; ``durable`` says whether its name is synced by whoever makes it."""
        file = self._files[name] = File()
        if durable:
            self._durable_names[name] = file
        return file

    def delete(self, name: str, *, sync: bool) -> None:
        """Delete a name.

        Raises:
            KeyError: There is no such file.
            PowerLost: The power went off meanwhile.
        """
        del self._files[name]
        self._change()
        if sync:
            self.sync_folder()

    def write(self, file: File, offset: int, data: bytes) -> None:
        """Write to a file.

        Raises:
            NoRoom: The drive is full.
            PowerLost: The power went off meanwhile.
        """
        if not self.room():
            raise NoRoom
        file.write(offset, data)
        self._change()

    def truncate(self, file: File, size: int) -> None:
        """Change a file's length.

        Raises:
            PowerLost: The power went off meanwhile.
        """
        file.truncate(size)
        self._change()

    def sync(self, file: File) -> None:
        """Sync a file.

        Raises:
            SyncFailed: It was not synced, or who knows.
            PowerLost: The power went off meanwhile.
        """
        self._change()
        if self._syncs_until_failure:
            self._syncs_until_failure -= 1
            if not self._syncs_until_failure:
                file.fail_sync()
                raise SyncFailed
        file.sync()

    def sync_folder(self) -> None:
        """Make names durable."""
        self._durable_names = dict(self._files)

    def _change(self) -> None:
        self.changes += 1
        if self.changes == self._cut_at:
            self.lose_power()
            raise PowerLost


def _some(most: int, ratio: float) -> Callable[[Random], int]:
    """Draw 0, or with a chance of ``ratio`` one of 1 … ``most``."""
    return lambda dice: dice.randint(1, most) if dice.random() < ratio else 0


def _sector(written: int, ratio: float) -> Callable[[Random], int]:
    def draw(dice: Random) -> int:
        if dice.random() >= ratio:
            return 0
        if dice.random() < GARBAGE_RATIO:
            return written + 1
        return dice.randint(1, written)

    return draw


def _change(data: bytearray, change: tuple[int, bytes | None]) -> None:
    offset, written = change
    if written is None:
        _resize(data, offset)
    else:
        _patch(data, offset, written)


def _patch(data: bytearray, offset: int, written: bytes) -> None:
    if offset > len(data):
        _resize(data, offset)
    data[offset : offset + len(written)] = written


def _resize(data: bytearray, size: int) -> None:
    if size < len(data):
        del data[size:]
    else:
        data.extend(bytes(size - len(data)))
