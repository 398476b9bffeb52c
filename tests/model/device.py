"""A client's machine: it crashes, its disk is lost, or an old copy of it is put in its place."""


class Device:
    """A client: ``box`` is its memory, ``disk`` is what a crash leaves of it."""

    def __init__(self, world):
        self.world = world
        self.oracle = world.oracle
        self.up = False
        self.gone = False
        """It never comes back."""
        self.disks = 1
        self.restored = False
        """Runs on an old copy, and has not logged in since."""
        self.backup = None
        self._run_on(self.new_disk())

    def _run_on(self, disk):
        self.up = False
        self.disk = disk
        self.open(disk.copy())

    def new_disk(self):
        """Return an empty disk, with an incarnation of its own."""
        raise NotImplementedError

    def open(self, box):
        """Start a process on what was read from the disk."""
        raise NotImplementedError

    def crash(self):
        self._run_on(self.disk)

    def lose_disk(self):
        self.disks += 1
        self._run_on(self.new_disk())

    def restore(self):
        """Somebody puts an old copy of the disk in its place."""
        self.disks += 1
        self.restored = True
        self._run_on(self.backup.copy())
