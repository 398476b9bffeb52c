"""A million datagrams of each kind of stranger at a live encrypted server, in virtual time.

As a program it prints a paragraph for each case: ``make attacks``, or ``make attacks
ARGS='--case garbage --count 20000 --json'``. The exit code is 1 if anything was wrong.
"""

import argparse
import json
import random
import sys
import time
from pathlib import Path

from tests.node.harness import SERVER
from tests.security.digest import digest
from tests.security.stage import Stage
from tests.security.strangers import ADDRESSES, FirstPackets, Garbage, addresses

BURST_DATAGRAMS = 64
RATE_PER_S = 20_000
"""How fast they arrive, in virtual time."""
GUEST_S = 0.25
"""Virtual time between two honest clients who connect meanwhile."""
ROUND_DATAGRAMS = 1000
"""Copies between two looks at the state."""
GROWTH_BYTES_MAX = 32 * 1024 * 1024
"""What the process may grow by after the first tenth: tables fill up, honest clients come, go."""
PROGRESS_S = 5.0
NO_STATE = (
    *("_handshakes", "_admission", "_resets"),  # what HELLOs begin, and what limits the answers
    *("now", "_large_first"),  # the time, and whose turn it is: they change with every turn
)
KEPT_PACKETS = 4000
"""Packets of each direction that are captured to be replayed."""


class Case:
    """One kind of stranger; ``report`` is what came of it, ``problems`` what must not be."""

    def __init__(self, count, seed, progress=lambda line: None):
        self.count, self.seed, self.progress = count, seed, progress
        self.rng = random.Random(seed)
        self.addresses = addresses()
        self.problems = []
        self.peaks = {}
        self.struck_s = 0.0
        self._shown = self._began = time.perf_counter()
        self._resident = None

    def run(self):
        """Do it all; return the report."""
        self.prepare()
        self._began = time.perf_counter()
        self.go()
        seconds = time.perf_counter() - self._began
        report = {
            "case": self.name,
            "count": self.count,
            "seed": self.seed,
            "seconds": round(seconds, 2),
            "us_each": round(seconds / self.count * 1e6, 2),
            "us_each_at_the_server": round(self.struck_s / self.count * 1e6, 2),
            "peaks": self.peaks,
            **self.result(),
        }
        return report | {"problems": self.problems}

    def expect(self, words, expected, actual):
        """Note a problem if two things differ."""
        if expected != actual:
            self.problems.append(f"{words}: {actual}, not {expected}")

    def look(self, done):
        """Note how full the tables are, and what the process has in memory."""
        for name, size in self.stage.sizes().items():
            self.peaks[name] = max(size, self.peaks.get(name, 0))
        resident = _resident_bytes()
        if self._resident is None and done * 10 >= self.count:
            self._resident = resident
        grown = resident - (self._resident or resident)
        self.peaks["grown_bytes"] = max(grown, self.peaks.get("grown_bytes", 0))
        now = time.perf_counter()
        if now - self._shown >= PROGRESS_S:
            self._shown = now
            rate = done / (now - self._began)
            self.progress(f"{self.name}: {done} of {self.count}, {rate:.0f}/s, {self.peaks}")

    def memory_is_flat(self):
        if self.peaks["grown_bytes"] > GROWTH_BYTES_MAX:
            self.problems.append(f"the process grew by {self.peaks['grown_bytes']} bytes")

    def strike(self, burst):
        """Hand a burst to the server, on the clock; return its answers."""
        self.stage.flush()
        began = time.perf_counter()
        answers = self.stage.strike(burst)
        self.struck_s += time.perf_counter() - began
        return answers


class Flood(Case):
    """Datagrams that are made one by one, while honest clients come and go."""

    def prepare(self):
        self.stage = stage = Stage(self.seed)
        captured = []
        stage.tap = lambda source, destination, data: (
            captured.append(data) if destination == SERVER else None
        )
        self.alice, self.bob = stage.join("alice/a"), stage.join("bob/b")
        self.alice.send("bob", b"before")
        stage.run(1.0)
        stage.tap = self.seize
        self.make = self.datagrams(captured)

    def go(self):
        stage, rng, make, addresses = self.stage, self.rng, self.make, self.addresses
        next_guest = done = turns = 0
        while done < self.count:
            size = min(BURST_DATAGRAMS, self.count - done)
            burst = [(make(), addresses[int(rng.random() * ADDRESSES)]) for _ in range(size)]
            self.strike(burst)
            done += size
            turns += 1
            stage.run(size / RATE_PER_S)
            if stage.now >= next_guest:
                next_guest = stage.now + GUEST_S
                stage.invite()
                self.alice.send("bob", b"meanwhile")
            stage.welcome()
            if turns % 50 == 0:
                self.look(done)
        for _ in range(20):
            stage.run(0.1)
            stage.welcome()
        self.look(done)

    def seize(self, source, destination, data):
        """See what the honest ones send, and what they are sent."""

    def result(self):
        stage, ledger = self.stage, self.stage.ledger
        stage.run(2.0)
        self.memory_is_flat()
        self.expect("honest clients who were late", [], stage.late)
        self.expect("honest clients who wait", 0, len(stage.waiting))
        messages = [b"before", *[b"meanwhile"] * len(stage.connected_s)]
        self.expect("messages to bob", messages, self.bob.received[: len(messages)])
        if not stage.connected_s:
            self.problems.append("no honest client has connected")
        return {
            "addresses": ledger.addresses,
            "replies": ledger.replies,
            "bytes_in": ledger.bytes_in,
            "bytes_out": ledger.bytes_out,
            "worst_ratio": round(ledger.worst, 3),
            "honest_connected": len(stage.connected_s),
            "honest_slowest_s": round(max(stage.connected_s, default=0.0), 3),
            "virtual_s": round(stage.now - 100.0, 1),
        }


class GarbageFlood(Flood):
    """Random bytes, and true packets that were changed: silence."""

    name = "garbage"

    def datagrams(self, captured):
        return Garbage(self.rng, captured)

    def result(self):
        report = super().result()
        self.expect("replies", 0, report["replies"])
        return report


class FirstFlood(Flood):
    """First packets with a right mac from addresses that are not the sender's."""

    name = "first"

    def datagrams(self, captured):
        return FirstPackets(self.rng)

    def seize(self, source, destination, data):
        """Tokens that go to honest clients are read on their way."""
        if destination in self.stage.peers and source == SERVER:
            self.make.seen(data)

    def result(self):
        report = super().result()
        if report["worst_ratio"] > 1.0:
            self.problems.append(f"an address got {report['worst_ratio']} of what came from it")
        limits = self.stage.server.config.limits
        if self.peaks["unproven"] > limits.unproven_handshakes_max:
            self.problems.append("more unproven handshakes than allowed")
        honest = len(self.stage.connected_s) + 10
        if self.peaks["handshakes"] > limits.unproven_handshakes_max + honest:
            self.problems.append(f"{self.peaks['handshakes']} handshakes are remembered")
        if self.peaks["addresses"] > 1:
            self.problems.append("strangers are remembered by address")
        if self.count >= 1_000_000 and report["addresses"] < 50_000:
            self.problems.append(f"only {report['addresses']} addresses were used")
        if not report["replies"]:
            self.problems.append("nothing was answered, so nothing was tried")
        return report


class Replay(Case):
    """Copies of captured packets, to both ends, from the same and from other addresses."""

    name = "replay"

    def prepare(self):
        self.stage = stage = Stage(self.seed, always_retry=True, key_update_packets=40)
        self.captured = []
        stage.tap = self.capture
        self.clients = {}
        self.alice, self.bob = (self.join(who) for who in ("alice/a", "bob/b"))
        self.said = 0
        for _ in range(60):
            self.talk()
        carol = self.join("carol/c")
        carol.node.close(stage.now)
        stage.run(20.0)
        del stage.peers[carol.address]

    def join(self, who):
        client = self.stage.join(who)
        self.clients[client.address] = client
        return client

    def capture(self, source, destination, data):
        if destination == SERVER or destination in self.clients or source == SERVER:
            self.captured.append((source, destination, data))
            if len(self.captured) > 2 * KEPT_PACKETS:
                # The handshakes and the newest stay.
                del self.captured[KEPT_PACKETS // 4 : KEPT_PACKETS]

    def talk(self):
        """Messages both ways, so that there are new packets to be captured."""
        self.alice.send("bob", b"%d" % self.said)
        self.bob.send("alice", b"%d" % self.said)
        self.said += 1
        self.stage.run(0.2)

    def state(self):
        """Everything but the handshakes that HELLOs begin, and what limits those."""
        nodes = [self.stage.server.node, self.stage.server.store]
        for client in (self.alice, self.bob):
            nodes += [client.node, client.store, client.received]
        return digest(*nodes, without=NO_STATE)

    def go(self):
        stage = self.stage
        done = rounds = 0
        self.things = 0
        self.from_clients = 0
        while done < self.count:
            stage.server.receive([], stage.now)  # it learns what time it is
            stage.flush()
            before, self.things = self.state()
            delivered = len(self.alice.received), len(self.bob.received)
            size = min(ROUND_DATAGRAMS, self.count - done)
            self.replay(size)
            done += size
            after, _ = self.state()
            self.expect(f"state after {done}", before, after)
            self.expect("deliveries", delivered, (len(self.alice.received), len(self.bob.received)))
            rounds += 1
            stage.run(0.05)
            if rounds % 5 == 0:
                self.talk()
            self.look(done)
            if len(self.problems) > 10:
                break

    def replay(self, size):
        """Hand copies over, in bursts, all at one moment."""
        rng, captured = self.rng, self.captured
        bursts = {}
        for _ in range(size):
            source, destination, data = captured[int(rng.random() * len(captured))]
            if rng.random() < 0.5:
                source = self.addresses[int(rng.random() * ADDRESSES)]
            bursts.setdefault(destination, []).append((data, source))
        for destination, burst in bursts.items():
            if destination == SERVER:
                for at in range(0, len(burst), BURST_DATAGRAMS):
                    self.strike(burst[at : at + BURST_DATAGRAMS])
            elif (client := self.clients.get(destination)) and destination in self.stage.peers:
                began = time.perf_counter()
                client.receive(burst, self.stage.now)
                self.from_clients += len(client.turn(self.stage.now))
                self.struck_s += time.perf_counter() - began

    def result(self):
        stage, ledger = self.stage, self.stage.ledger
        self.memory_is_flat()
        stage.run(5.0)
        expected = sorted(b"%d" % n for n in range(self.said))
        for client in (self.alice, self.bob):
            self.expect("messages in the end", expected, sorted(client.received))
            self.expect("logins", 1, [name for name, _ in client.links].count("ONLINE"))
        self.expect("answers of clients", 0, self.from_clients)
        if ledger.worst > 1.0:
            self.problems.append(f"an address got {ledger.worst} of what came from it")
        updates = stage.server.node.connections()[0].stats.key_updates
        if not updates:
            self.problems.append("no key was updated")
        return {
            "captured": len(self.captured),
            "things_in_the_state": self.things,
            "replies": ledger.replies,
            "bytes_in": ledger.bytes_in,
            "bytes_out": ledger.bytes_out,
            "worst_ratio": round(ledger.worst, 3),
            "key_updates": updates,
            "messages": 2 * self.said,
        }


CASES = {case.name: case for case in (GarbageFlood, FirstFlood, Replay)}


def _resident_bytes():
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096


def line_of(report):
    """One line for people."""
    skip = {"case", "count", "seconds", "us_each", "us_each_at_the_server", "peaks", "problems"}
    rest = " ".join(f"{name} {value}" for name, value in report.items() if name not in skip)
    peaks = " ".join(f"{name} {value}" for name, value in report["peaks"].items())
    words = "".join(f"\n    PROBLEM {problem}" for problem in report["problems"])
    return (
        f"{report['case']:<8} {report['count']} in {report['seconds']} s, "
        f"{report['us_each']} us each, {report['us_each_at_the_server']} us at the ends\n"
        f"    {rest}\n    most: {peaks}{words}"
    )


def main():
    """Strike a server with a million datagrams of each kind, and tell what came of it."""
    parser = argparse.ArgumentParser(prog="make attacks", description=main.__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="datagrams of each kind")
    parser.add_argument("--case", choices=CASES, action="append", help="only this one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    args = parser.parse_args()
    if args.count < 1:
        parser.error("--count is at least 1")

    def progress(line):
        print(line, file=sys.stderr, flush=True)

    failed = 0
    for name in args.case or CASES:
        report = CASES[name](args.count, args.seed, progress).run()
        print(json.dumps(report) if args.json else line_of(report), flush=True)
        failed += bool(report["problems"])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
