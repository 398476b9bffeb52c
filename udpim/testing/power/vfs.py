"""An SQLite VFS over drives in memory: the same calls that would reach the system.

Between SQLite (in `apsw`) and `udpim.testing.power.drive`. There is one connection to a file at a
time, so locks are granted; without shared memory a write-ahead log wants EXCLUSIVE locking, which
is what the store asks for.
"""

from __future__ import annotations

from itertools import count
from random import Random
from types import TracebackType
from weakref import WeakValueDictionary

import apsw

from udpim.testing.choices import Choices
from udpim.testing.power.drive import SECTOR_BYTES, Drive, File, NoRoom, PowerLost, SyncFailed

NAME = "udpim-power"

# What is made with a folder's sync to come, at the first sync of the file itself: as SQLite's own
# VFS for Unix does. (The store syncs the name of the database file by itself.)
_SIDE_FILES = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL


class PowerFile:
    """One open file of one process."""

    def __init__(self, drive: Drive, name: str, file: File, flags: int) -> None:
        """Keep whose file it is; ``flags`` are SQLite's."""
        self._drive = drive
        self._name = name
        self._file = file
        self._life = drive.life
        self._goes_at_close = bool(flags & apsw.SQLITE_OPEN_DELETEONCLOSE)
        self._syncs_folder = bool(flags & apsw.SQLITE_OPEN_CREATE and flags & _SIDE_FILES)

    def _demand_power(self) -> None:
        if self._life != self._drive.life:
            raise apsw.exception_for(apsw.SQLITE_IOERR)

    def xRead(self, amount: int, offset: int) -> bytes:
        """Read; less than ``amount`` at the end of the file."""
        if self._life != self._drive.life:
            raise apsw.exception_for(apsw.SQLITE_IOERR_READ)
        return bytes(self._file.data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        """Write."""
        self._demand_power()
        try:
            self._drive.write(self._file, offset, bytes(data))
        except NoRoom:
            raise apsw.exception_for(apsw.SQLITE_FULL) from None
        except PowerLost:
            raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE) from None

    def xTruncate(self, size: int) -> None:
        """Change the length."""
        self._demand_power()
        try:
            self._drive.truncate(self._file, size)
        except PowerLost:
            raise apsw.exception_for(apsw.SQLITE_IOERR_TRUNCATE) from None

    def xSync(self, flags: int) -> None:
        """Sync the file, and its folder where this process made the file."""
        del flags  # all kinds of sync are whole ones
        self._demand_power()
        try:
            self._drive.sync(self._file)
        except (PowerLost, SyncFailed):
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC) from None
        if self._syncs_folder:
            self._syncs_folder = False
            self._drive.sync_folder()

    def xFileSize(self) -> int:
        """Return the length."""
        self._demand_power()
        return len(self._file.data)

    def xClose(self) -> None:
        """Close it."""
        if self._goes_at_close and self._life == self._drive.life:
            self._goes_at_close = False
            self._drive.delete(self._name, sync=False)

    def xLock(self, level: int) -> None:
        """Grant a lock."""

    def xUnlock(self, level: int) -> None:
        """Take a lock back."""

    def xCheckReservedLock(self) -> bool:
        """Tell whether somebody else writes."""
        return False

    def xSectorSize(self) -> int:
        """Return what is written at once."""
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:
        """As on Unix: what was not written to stays as it is, and nothing else is promised."""
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xFileControl(self, op: int, pointer: int) -> bool:
        """Know no extensions."""
        del op, pointer
        return False

    def excepthook(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType
    ) -> bool:
        """Say nothing where SQLite hears of an error and passes it to nobody."""
        return True


class PowerVFS(apsw.VFS):
    """Finds the drive of a path, and a file on it. See `path_on`."""

    def __init__(self) -> None:
        """Register it under `NAME`, as apsw's default: so its randomness is repeatable too."""
        super().__init__(NAME, base="", makedefault=True)
        self._drives: WeakValueDictionary[str, Drive] = WeakValueDictionary()
        self._numbers = count(1)
        self._dice = Random(NAME)
        self._no_choices = Choices(NAME, {}).stream(NAME)

    def path_on(self, drive: Drive, path: str) -> str:
        """Return how SQLite is told of a path on a drive, which is kept by its users alone."""
        folder = f"/{next(self._numbers)}"
        self._drives[folder] = drive
        return folder + path

    def _place(self, path: str) -> tuple[Drive, str]:
        _, number, name = path.split("/", 2)
        return self._drives[f"/{number}"], f"/{name}"

    def xOpen(  # type: ignore[override]  # whatever has the methods is a file
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> PowerFile:
        """Open or make a file; one without a name is for this process only."""
        flags[1] = flags[0]
        if name is None:
            return PowerFile(Drive(self._no_choices), "", File(), apsw.SQLITE_OPEN_CREATE)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        drive, path = self._place(path)
        file = drive.find(path)
        if file is None:
            if not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.exception_for(apsw.SQLITE_CANTOPEN)
            file = drive.make(path, durable=bool(flags[0] & apsw.SQLITE_OPEN_MAIN_DB))
        return PowerFile(drive, path, file, flags[0])

    def xDelete(self, name: str, syncdir: bool) -> None:
        """Delete a file, and sync the folder where that is asked for."""
        drive, path = self._place(name)
        try:
            drive.delete(path, sync=syncdir)
        except KeyError:
            raise apsw.exception_for(apsw.SQLITE_IOERR_DELETE_NOENT) from None
        except PowerLost:
            raise apsw.exception_for(apsw.SQLITE_IOERR_DELETE) from None

    def xAccess(self, name: str, flags: int) -> bool:
        """Tell whether there is such a file; all can be read and written."""
        del flags
        drive, path = self._place(name)
        return drive.find(path) is not None

    def xFullPathname(self, name: str) -> str:
        """Return the path: it is whole."""
        return name

    def xRandomness(self, size: int) -> bytes:
        """Return random bytes, the same ones in each process."""
        return self._dice.randbytes(size)

    def excepthook(self, kind: object, error: object, trace: object) -> bool:
        """See `PowerFile.excepthook`."""
        return True


vfs = PowerVFS()
