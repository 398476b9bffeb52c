"""A qlog of each node of a simulated run, in virtual time.

What connections tell is noted while the run is played; what a node claims, which
`udpim.testing.sim.story` finds in the history, is put between as ``udpim:told`` when it is over.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from udpim.hop.trace import NewTrace
from udpim.observe.qlog import SUFFIX, Qlog, Record, in_ms, text_of
from udpim.testing.facts import SERVER
from udpim.testing.sim.actions import Stage
from udpim.testing.sim.story import told_by_nodes
from udpim.testing.world import World


class Qlogs:
    """The logs of one run, which is to be given `new_trace` and `watch`."""

    def __init__(self) -> None:
        """Start without nodes."""
        self._qlogs: dict[str, Qlog] = {}
        self._records: dict[str, list[Record]] = defaultdict(list)
        self._stage: Stage | None = None
        self._world: World | None = None

    def watch(self, world: World, stage: Stage) -> None:
        """Learn which run it is."""
        self._world, self._stage = world, stage

    def new_trace(self, host: str) -> NewTrace:
        """Return what observes the connections of a node."""
        return self._qlog(host).new_trace

    def _qlog(self, host: str) -> Qlog:
        if host not in self._qlogs:
            side = "client" if "/" in host else SERVER
            self._qlogs[host] = Qlog(host, side, self._now, self._records[host].append)
        return self._qlogs[host]

    def _now(self) -> float:
        assert self._world is not None, "nothing happens before it is watched"
        return self._world.clock.now

    def texts(self) -> dict[str, str]:
        """Return the text of each node's file, by its name."""
        assert self._world is not None, "nothing was played"
        assert self._stage is not None, "nothing was played"
        history = self._world.history
        for order, host, words in told_by_nodes(history, self._stage):
            self._qlog(host)
            record = {"time": in_ms(history.times[order]), "name": "udpim:told"}
            self._records[host].append({**record, "data": {"words": words.strip()}})
        return {
            f"{host.replace('/', '-')}{SUFFIX}": "".join(
                text_of(record)
                for record in [
                    qlog.header(),
                    *sorted(self._records[host], key=lambda record: record["time"]),
                ]
            )
            for host, qlog in sorted(self._qlogs.items())
        }

    def write(self, folder: Path) -> list[Path]:
        """Write the files of all nodes, and return where they are.

        Raises:
            OSError: They cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, text in self.texts().items():
            paths.append(folder / name)
            paths[-1].write_text(text, "utf-8")
        return paths
