"""A bus for the processes of one host: a datagram socket for each, in a folder that they share.

See `udpim.cluster.bus`. A process that dies leaves its socket's file behind; connecting to it is
refused, so the others know at once. Who may write into the folder may speak for any process of the
cluster, so it belongs to one user alone.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from udpim.cluster.bus import OnFrames
from udpim.errors import ConfigError

SUFFIX = ".sock"
FRAMES_A_TURN = 64
READ_BYTES_MAX = 65_536
WAITING_FRAMES_MAX = 256
"""Frames that wait for one process that is slow; one more is dropped, and the hop sends again."""
BUFFER_BYTES = 1024 * 1024
PEERS_MAX = 64
"""Processes that are kept connected; the one that was not written to for longest goes first."""
_PATH_BYTES_MAX = 107
_DEAD = {errno.ECONNREFUSED, errno.ENOENT}


class _Peer:
    """A socket that is connected to one process, and what waits for it."""

    __slots__ = ("socket", "waiting")

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.waiting: deque[bytes] = deque()


class UnixBus:
    """A `udpim.cluster.bus.Bus` on AF_UNIX sockets."""

    def __init__(self, folder: str, node: str, on_frames: OnFrames) -> None:
        """Open this process's socket; needs a running event loop.

        Args:
            folder: Where the processes meet.
            node: This process's name.
            on_frames: Takes what arrives.

        Raises:
            ConfigError: The folder's path is too long, others may write into it, or the socket
                cannot be made there.
        """
        self._folder = Path(folder)
        self._on_frames = on_frames
        self._loop = asyncio.get_running_loop()
        self._peers: dict[str, _Peer] = {}
        self._sent = 0
        self._received = 0
        self.drops: dict[str, int] = {}
        self._path = self._path_of(node)
        self._socket = _bound(self._path)
        self._loop.add_reader(self._socket, self._on_readable)

    def send(self, node: str, frames: Sequence[bytes]) -> None:
        """See `Bus.send`."""
        peer = self._peer(node)
        if peer is None:
            self._drop("bus: process not reached", len(frames))
            return
        self._peers[node] = self._peers.pop(node)  # last written to, last to go
        room = WAITING_FRAMES_MAX - len(peer.waiting)
        self._drop("bus: process too slow", len(frames) - room)
        was_waiting = bool(peer.waiting)
        peer.waiting.extend(frames[:room])
        if not was_waiting:
            self._flush(node, peer)

    def is_dead(self, node: str) -> bool:
        """See `Bus.is_dead`."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(str(self._path_of(node)))
            except OSError as error:
                return error.errno in _DEAD
        return False

    def stats(self) -> dict[str, int]:
        """See `Bus.stats`."""
        return {"bus_frames_sent": self._sent, "bus_frames_received": self._received, **self.drops}

    def close(self) -> None:
        """See `Bus.close`."""
        for node in list(self._peers):
            self._forget(node)
        self._loop.remove_reader(self._socket)
        self._socket.close()
        with suppress(FileNotFoundError):
            self._path.unlink()

    def sweep(self) -> None:
        """Remove the files that dead processes left in the folder."""
        for path in self._folder.glob(f"*{SUFFIX}"):
            if self.is_dead(path.stem):
                with suppress(FileNotFoundError):
                    path.unlink()

    def _path_of(self, node: str) -> Path:
        return self._folder / f"{node}{SUFFIX}"

    # --- Inward ---

    def _on_readable(self) -> None:
        frames: list[bytes] = []
        with suppress(BlockingIOError):
            while len(frames) < FRAMES_A_TURN:
                frames.append(self._socket.recv(READ_BYTES_MAX))
        self._received += len(frames)
        if frames:
            self._on_frames(frames)

    # --- Outward ---

    def _peer(self, node: str) -> _Peer | None:
        peer = self._peers.get(node)
        if peer is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            try:
                sock.connect(str(self._path_of(node)))
            except OSError:
                sock.close()
                return None
            if len(self._peers) >= PEERS_MAX:
                self._forget(next(iter(self._peers)))
            peer = self._peers[node] = _Peer(sock)
        return peer

    def _flush(self, node: str, peer: _Peer) -> None:
        """Send what waits, as far as the other process has room."""
        waiting = peer.waiting
        try:
            while waiting:
                peer.socket.send(waiting[0])
                waiting.popleft()
                self._sent += 1
        except BlockingIOError:
            self._loop.add_writer(peer.socket, self._flush, node, peer)
            return
        except OSError:
            self._drop("bus: process not reached", len(waiting))
            self._forget(node)
            return
        self._loop.remove_writer(peer.socket)

    def _forget(self, node: str) -> None:
        peer = self._peers.pop(node)
        self._loop.remove_writer(peer.socket)
        peer.socket.close()

    def _drop(self, reason: str, count: int) -> None:
        if count > 0:
            self.drops[reason] = self.drops.get(reason, 0) + count


def _bound(path: Path) -> socket.socket:
    """Open a socket at a path that nobody else may reach."""
    if len(str(path).encode()) > _PATH_BYTES_MAX:
        words = f"take a shorter one: {path} is longer than {_PATH_BYTES_MAX} bytes"
        raise ConfigError(f"the cluster's folder has too long a name for sockets; {words}")
    try:
        if path.parent.stat().st_mode & 0o022:
            raise ConfigError(f"others may write into {path.parent}; chmod 700 it")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            sock.bind(str(path))
            os.chmod(path, 0o600)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise ConfigError(f"no socket at {path}: {error.strerror}") from error
    return sock
