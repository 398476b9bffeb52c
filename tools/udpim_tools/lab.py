"""A network of its own for tests on real packets: clients – bridge – server, in three namespaces.

The lab is made of network namespaces and veth pairs and needs root on Linux with iproute2. Nothing
joins the two sides but a program that the caller runs in the bridge namespace, normally
:mod:`udpim_tools.injector`. Leaving the ``with`` block ends every process in the namespaces and
removes them, whatever happened inside; what a killed run left behind goes when the next lab starts.

    with Lab() as lab:
        injector = lab.bridge.start([sys.executable, "-m", "udpim_tools.injector", *lab.INTERFACES])
        server = lab.server.start([...])

veth leaves UDP checksums to a hardware that it does not have, and a userspace bridge passes on what
it sees: every datagram would arrive with a wrong checksum. So the lab turns checksum offload off on
both outer ends.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import itertools
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

SIOCETHTOOL = 0x8946
ETHTOOL_GTXCSUM = 0x16
ETHTOOL_STXCSUM = 0x17
COMMAND_TIMEOUT_S = 20.0
"""No set-up command takes longer, unless it hangs."""
GRACE_S = 3.0
"""How long a process may take to end itself when asked."""

_PREFIX = "udpimlab"
_labs = itertools.count()


def _run(command: Sequence[str]) -> str:
    """Run one set-up command to its end and return what it printed.

    Raises:
        RuntimeError: If it fails; with its words.
    """
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Namespace:
    """One network namespace, with its loopback up.

    Args:
        name: Of the namespace; must not exist.
        address: What its processes bind and send to; empty in the bridge.
    """

    def __init__(self, name: str, address: str = "") -> None:
        self.name = name
        self.address = address
        self._processes: list[subprocess.Popen[str]] = []
        _run(["ip", "netns", "add", name])

    def command(self, command: Sequence[str]) -> list[str]:
        """The command line that runs ``command`` inside."""
        return ["ip", "netns", "exec", self.name, *command]

    def start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Start a process inside, with pipes for its outputs; it ends with the lab at last."""
        process = subprocess.Popen(
            self.command(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        """End what runs inside, and remove the namespace."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        _remove(self.name)


class Lab:
    """Three namespaces; see the module's docstring.

    Attributes:
        clients: Where the clients run, 10.77.0.1.
        server: Where the server runs, 10.77.0.2.
        bridge: Where `INTERFACES` are, without addresses.

    Raises:
        RuntimeError: On entry, if a namespace or a link cannot be made; nothing is left then.
    """

    INTERFACES = ("to-clients", "to-server")
    """In the bridge namespace: the two ends to be joined."""
    CLIENTS_ADDRESS = "10.77.0.1"
    SERVER_ADDRESS = "10.77.0.2"

    clients: Namespace
    server: Namespace
    bridge: Namespace

    def __init__(self) -> None:
        self._prefix = f"{_PREFIX}-{os.getpid()}-{next(_labs)}"
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        sweep()
        with contextlib.ExitStack() as stack:
            self.bridge = self._namespace(stack, "bridge")
            self.clients = self._namespace(stack, "clients", self.CLIENTS_ADDRESS)
            self.server = self._namespace(stack, "server", self.SERVER_ADDRESS)
            self._link(self.clients, self.INTERFACES[0])
            self._link(self.server, self.INTERFACES[1])
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def _namespace(self, stack: contextlib.ExitStack, role: str, address: str = "") -> Namespace:
        namespace = Namespace(f"{self._prefix}-{role}", address)
        stack.callback(namespace.close)
        return namespace

    def _link(self, outer: Namespace, bridge_end: str) -> None:
        ends = ("udpim0", outer.name), (bridge_end, self.bridge.name)
        first, second = ([name, "netns", namespace] for name, namespace in ends)
        _run(["ip", "link", "add", *first, "type", "veth", "peer", "name", *second])
        for interface, namespace in ends:
            # Without an address of its own making an interface sends nothing by itself.
            _run(["ip", "-n", namespace, "link", "set", interface, "addrgenmode", "none", "up"])
        _run(["ip", "-n", outer.name, "link", "set", "lo", "up"])
        _run(["ip", "-n", outer.name, "address", "add", f"{outer.address}/24", "dev", "udpim0"])
        _run(outer.command([sys.executable, "-m", "udpim_tools.lab", "udpim0"]))


def sweep() -> None:
    """Remove the namespaces of labs whose process is gone."""
    for line in _run(["ip", "netns", "list"]).splitlines():
        name = line.split()[0]
        prefix, _, rest = name.partition("-")
        pid = rest.partition("-")[0]
        if prefix == _PREFIX and pid.isdigit() and not Path("/proc", pid).exists():
            _remove(name)


def _remove(name: str) -> None:
    # Only processes that were started inside are listed, whoever started them.
    for pid in _run(["ip", "netns", "pids", name]).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    _run(["ip", "netns", "delete", name])


def checksum_offload(interface: str) -> bool:
    """Whether this interface leaves checksums to its hardware."""
    return bool(_ethtool(interface, ETHTOOL_GTXCSUM, 0))


def disable_checksum_offload(interface: str) -> None:
    """Have the kernel write the checksums of what this interface sends.

    Raises:
        OSError: If there is no such interface, or no right to change it.
    """
    _ethtool(interface, ETHTOOL_STXCSUM, 0)


def _ethtool(interface: str, command: int, data: int) -> int:
    """One SIOCETHTOOL call with a struct ethtool_value (linux/ethtool.h)."""
    value = array.array("B", struct.pack("=II", command, data))
    address, _ = value.buffer_info()
    request = struct.pack("16sP16x", interface.encode(), address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)
    result: int = struct.unpack("=II", value.tobytes())[1]
    return result


if __name__ == "__main__":
    # Runs inside a namespace: a process cannot enter one by itself before Python 3.12.
    for name in sys.argv[1:]:
        disable_checksum_offload(name)
