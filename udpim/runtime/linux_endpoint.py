"""UDP on Linux through our own socket: runs of datagrams in one system call, each way.

Stands where the portable endpoint stands, ``socket → burst → driver`` and ``driver → send →
socket``, without asyncio's transport between. On send, a run of datagrams of one size to one
address, the last of which may be shorter, is one ``sendmsg`` that the kernel cuts up (UDP_SEGMENT);
on receipt the kernel joins what arrived so (UDP_GRO), and we cut it up again. 32 datagrams of 1200
bytes cost a tenth of what they cost one by one. What the kernel or the network card does not offer
is left out: each of the two then falls back to single datagrams.
"""

from __future__ import annotations

import asyncio
import errno
import platform
import socket
import struct
from collections.abc import Sequence
from itertools import islice

from udpim.model import Address
from udpim.runtime.endpoint_base import BURST_DATAGRAMS_MAX, DatagramEndpoint, OnBurst, OnLost

# linux/udp.h and asm-generic/socket.h; Python's socket module does not name them.
UDP_SEGMENT = 103
UDP_GRO = 104
SO_RXQ_OVFL = 40

RUN_DATAGRAMS_MAX = 64
"""UDP_MAX_SEGMENTS of linux/udp.h, in the kernels that have the smallest one."""
RUN_BYTES_MAX = 65_000
"""A run has to fit one IP packet, with its headers, before it is cut up."""
READ_BYTES_MAX = 65_535
"""Room for whatever the kernel joins."""
FLUSH_DATAGRAMS_MAX = 256
"""Waiting datagrams sent in one turn of the loop, once the kernel has room again."""
GRO_KERNEL_MIN = (5, 12)
"""Earlier kernels join datagrams with a wrong checksum on some cards."""

_ANCILLARY_BYTES = 2 * socket.CMSG_SPACE(4)
_INT = struct.Struct("=i")
_COUNT = struct.Struct("=I")
_SIZE = struct.Struct("=H")
_NO_SEGMENTATION = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE})
"""The path's device cannot checksum (EIO), or takes no segments of this size."""


def _kernel() -> tuple[int, ...]:
    major, minor = platform.release().split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)


class LinuxEndpoint(DatagramEndpoint):
    """One UDP socket, read and written in runs. Needs a loop with ``add_reader``."""

    kind = "linux"

    def __init__(self, sock: socket.socket, on_burst: OnBurst, on_lost: OnLost) -> None:
        """See `udpim.runtime.endpoint.open_endpoint`."""
        super().__init__(sock, on_burst, on_lost)
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._blocked = False
        self._runs_sent = 0
        self._runs_received = 0
        self._loop.add_reader(sock, self._on_readable)  # first: GRO needs a reader that cuts up
        self._set(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        self.joins = _kernel() >= GRO_KERNEL_MIN and self._set(socket.IPPROTO_UDP, UDP_GRO, 1)
        # Size 0 changes nothing: it asks whether the kernel knows the option. The size itself goes
        # with each run, for one set at the socket would cut handshakes up as well.
        self.segments = self._set(socket.IPPROTO_UDP, UDP_SEGMENT, 0)

    def _set(self, level: int, option: int, value: int) -> bool:
        try:
            self._socket.setsockopt(level, option, value)
        except OSError as error:
            self.error_received(error)
            return False
        return True

    # --- Receiving ---

    def _on_readable(self) -> None:
        burst: list[tuple[bytes, Address]] = []
        receive, take = self._socket.recvmsg, burst.append
        for _ in range(BURST_DATAGRAMS_MAX):
            try:
                data, ancillary, flags, address = receive(READ_BYTES_MAX, _ANCILLARY_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self.error_received(error)
                continue
            address = address[:2]
            size = self._read_ancillary(ancillary) if ancillary else 0
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                self._drop("truncated in the kernel")
            elif 0 < size < len(data):
                self._runs_received += 1
                burst += [(data[i : i + size], address) for i in range(0, len(data), size)]
            else:
                take((data, address))
        if burst:
            self._received += len(burst)
            self._bursts += 1
            self._on_burst(burst)

    def _read_ancillary(self, ancillary: list[tuple[int, int, bytes]]) -> int:
        """Return the size of the joined datagrams, 0 for a single one; note what was lost."""
        size = 0
        for level, kind, value in ancillary:
            if level == socket.IPPROTO_UDP and kind == UDP_GRO:
                (size,) = _INT.unpack(value)
            elif level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL:
                # The kernel counts from the socket's beginning.
                (self.drops["receive buffer full"],) = _COUNT.unpack(value)
        return size

    # --- Sending ---

    def send(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Send a burst; what the kernel has no room for waits here, up to the limit."""
        if self._closed:
            self._drop("endpoint closed", len(datagrams))
            return
        done = 0 if self._blocked else self._transmit(datagrams)
        if done < len(datagrams):
            self._enqueue(datagrams[done:])
            if not self._blocked:
                self._blocked = True
                self._loop.add_writer(self._socket, self._on_writable)

    def _on_writable(self) -> None:
        batch = list(islice(self._waiting, FLUSH_DATAGRAMS_MAX))
        for _ in range(self._transmit(batch)):
            self._waiting.popleft()
        if not self._waiting:
            self._blocked = False
            self._loop.remove_writer(self._socket)

    def _transmit(self, datagrams: Sequence[tuple[bytes, Address]]) -> int:
        """Hand them to the kernel; return how many it had room for, or refused for good."""
        at, count = 0, len(datagrams)
        while at < count:
            data, address = datagrams[at]
            end = _end_of_run(datagrams, at) if self.segments else at + 1
            try:
                if end == at + 1:
                    self._socket.sendto(data, address)
                else:
                    control = (socket.IPPROTO_UDP, UDP_SEGMENT, _SIZE.pack(len(data)))
                    run = [datagram for datagram, _ in datagrams[at:end]]
                    self._socket.sendmsg(run, (control,), 0, address)
                    self._runs_sent += 1
            except (BlockingIOError, InterruptedError):
                self._stalls += 1
                return at
            except OSError as error:
                self.error_received(error)
                if end > at + 1 and error.errno in _NO_SEGMENTATION:
                    self.segments = False
                    continue
                self._drop("refused by the kernel", end - at)
            else:
                self._sent += end - at
            at = end
        return count

    # --- The end ---

    async def close(self) -> None:
        """Close the socket, after one last attempt at what waits; the kernel keeps what it has."""
        if self._closed:
            return
        self._closed = True
        waiting = list(self._waiting)
        self._drop("endpoint closed", len(waiting) - self._transmit(waiting))
        self._waiting.clear()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()

    def stats(self) -> dict[str, int]:
        """Return the counters; a run is several datagrams in one call of the kernel."""
        return super().stats() | {
            "runs_sent": self._runs_sent,
            "runs_received": self._runs_received,
        }


def _end_of_run(datagrams: Sequence[tuple[bytes, Address]], at: int) -> int:
    """Return where the run that begins at ``at`` ends; the last one may be shorter."""
    data, address = datagrams[at]
    size = total = len(data)
    end, limit = at + 1, min(len(datagrams), at + RUN_DATAGRAMS_MAX)
    while end < limit:
        data, other = datagrams[end]
        total += len(data)
        if other != address or len(data) > size or not data or total > RUN_BYTES_MAX:
            break
        end += 1
        if len(data) < size:
            break
    return end
