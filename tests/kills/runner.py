"""One process of the kill matrix: hosts clients and servers, and kills itself where it is told.

Takes commands as JSON lines on standard input; answers and events leave as JSON lines on standard
output. Each line is first appended to the journal of whom it concerns, and synced, so whatever
happens next, it has been said. The end of the input ends the process.
"""

import argparse
import asyncio
import json
import os
import sys
import time

import udpim
from tests.kills.trap import PHASES, Trap, install, wiretap
from udpim import client as client_module
from udpim.hop.config import HopConfig
from udpim.im.records import DeleteQueue, PutInbox, PutQueue, PutReceipt
from udpim.node.events import ReceiptsChanged
from udpim.runtime.driver import Driver

SECURITY = os.environ.get("UDPIM_SECURITY", "require")
HOP = HopConfig(keepalive_s=0.25, key_log=wiretap.learn)
"""Who is silent learns soon that the server has come back as another process."""
RECONNECT_S_MAX = 0.5
CLOSE_TIMEOUT_S = 2.0
TOKEN = "let me in"
POISON = "!"
"""A payload that ends so is set aside when it is handed over first, and taken back soon."""
RETRY_S = 0.05
"""How soon: not in the turn of the loop in which it was set aside."""


class Journal:
    """What one user or server of this process has said, and said before it was killed."""

    def __init__(self, path):
        self._fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR)
        self.handed, self.aside = set(), set()
        said = {"handed": self.handed, "aside": self.aside}
        with open(path, encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                if line["event"] in said:
                    said[line["event"]].add((line["incarnation"], line["seq"]))

    def say(self, event, who, **fields):
        line = {"event": event, "who": who, "at_s": time.monotonic(), **fields}
        data = (json.dumps(line) + "\n").encode()
        os.write(self._fd, data)
        os.fsync(self._fd)
        os.write(sys.stdout.fileno(), data)


class Host:
    """Everything that this process hosts."""

    def __init__(self):
        self.journals = {}
        self.clients = {}
        self.readers = {}
        self.receipts = {}
        self.servers = {}
        self.journal_of_store = {}

    def journal(self, command):
        """The journal of a command's client or server, which the command names."""
        who = command["who"]
        if who not in self.journals:
            self.journals[who] = Journal(command["journal"])
            self.journal_of_store[command["store"]] = self.journals[who]
        return self.journals[who]

    # --- Commands ---

    async def open(self, command):
        """Log in, and hand over what arrives."""
        who, journal = command["who"], self.journal(command)
        client = await udpim.connect(
            f"udpim://127.0.0.1:{command['port']}",
            user=who,
            token=TOKEN,
            store=command["store"],
            security=SECURITY,
            known_hosts=None if SECURITY == "plain" else f"{command['store']}.hosts",
            hop=HOP,
            connect_timeout=30.0,
            close_timeout=CLOSE_TIMEOUT_S,
            reconnect_s_max=RECONNECT_S_MAX,
        )
        self.clients[who] = client
        self.readers[who] = asyncio.create_task(self.read(client, journal, who))
        journal.say("opened", who)

    async def read(self, client, journal, who):
        """The recipient's program: idempotent by msgid, as the README asks it to be."""
        retry_all(client)
        async for message in client:
            key = (message.stream.incarnation, message.seq)
            if message.payload.decode().endswith(POISON) and key not in journal.aside:
                journal.say("aside", who, incarnation=key[0], seq=key[1])
                journal.aside.add(key)
                client.aside.add(message, "poison")
                asyncio.get_running_loop().call_later(RETRY_S, retry_all, client)
                continue
            journal.say(
                "handed",
                who,
                incarnation=message.stream.incarnation,
                seq=message.seq,
                payload=message.payload.decode(),
                again=key in journal.handed,
            )
            journal.handed.add(key)

    async def send(self, command):
        """Send, and say what has been taken once it has."""
        who = command["who"]
        receipts = await self.clients[who].send_many(
            command["to"],
            [payload.encode() for payload in command["payloads"]],
            deadline=command["deadline_s"],
        )
        seqs = [receipt.msgid.seq for receipt in receipts]
        self.receipts |= {(who, seq): receipt for seq, receipt in zip(seqs, receipts, strict=True)}
        messages = list(zip(seqs, command["payloads"], strict=True))
        self.journals[who].say("sent", who, messages=messages)

    async def cancel(self, command):
        """Give messages up, as far as this process has sent them."""
        who = command["who"]
        known = [seq for seq in command["seqs"] if (who, seq) in self.receipts]
        for seq in known:
            self.receipts[who, seq].cancel()
        self.journals[who].say("cancelled", who, seqs=known)

    async def presence(self, command):
        """Ask who of a user is there, and say that it was answered."""
        who = command["who"]
        presence = await self.clients[who].presence(command["user"])
        self.journals[who].say("answered", who, online=presence.online)

    async def change_group(self, command):
        """Create, join or leave a group, and say that it was answered."""
        who = command["who"]
        await getattr(self.clients[who].groups, command["action"])(*command["names"])
        self.journals[who].say("answered", who)

    async def close(self, command):
        """Log out."""
        who = command["who"]
        client = self.clients.pop(who)
        await client.close()
        await self.readers.pop(who)
        self.journals[who].say("closed", who)

    async def serve(self, command):
        """Listen; the same port again after a restart."""
        journal = self.journal(command)
        server = udpim.Server(
            authenticate=lambda login: login.token == TOKEN,
            known_user=lambda user: True,
            on_offline=lambda notice: None,
            may_see=lambda request: True,
            may_send=(lambda request: True) if command["inspects"] else None,
            on_message=(lambda message: True) if command["inspects"] else None,
            store=command["store"],
            security=SECURITY,
            hop=HOP,
        )
        listening = await server.listen("127.0.0.1", command["port"])
        self.servers[command["who"]] = listening
        journal.say("listening", command["who"], port=listening.address[1])

    async def stop(self, command):
        """Stop serving."""
        who = command["who"]
        await self.servers.pop(who).close()
        self.journals[who].say("stopped", who)

    # --- Seen from outside ---

    def witness(self, path, ops):
        """Say what has become durable, before anybody can act on it; addressed to the sender."""
        for op in ops:
            for stream, what, seqs in durable_parts(op):
                journal = self.journal_of_store[path]
                journal.say("durable", stream.user, what=what, seqs=seqs)

    def watch_receipts(self):
        """Journal every state that a sender is shown, before its program can act on it."""
        journals = self.journals

        class WatchedDriver(Driver):
            def __init__(self, node, store, *, on_event, **rest):
                who = node.config.user

                def watched(event):
                    if isinstance(event, ReceiptsChanged):
                        for _, first, last, state in event.changes:
                            seqs = spread([(first, last)])
                            journals[who].say("receipt", who, seqs=seqs, state=state.name)
                    on_event(event)

                super().__init__(node, store, on_event=watched, **rest)

        client_module.Driver = WatchedDriver


def retry_all(client):
    """Take back everything that is set aside."""
    for entry in client.aside:
        client.aside.retry(entry.message)


def durable_parts(op):
    """What an operation says of messages: (stream, what, seqs)."""
    match op:
        case PutInbox(stream=stream, seqs=seqs):
            yield stream, "inbox", seqs
        case PutQueue(stream=stream, rows=rows):
            for what, void in (("queue", False), ("void", True)):
                if seqs := [row.seq for row in rows if row.void is void]:
                    yield stream, what, seqs
        case DeleteQueue(stream=stream, ranges=ranges):
            yield stream, "deleted", spread(ranges)
        case PutReceipt(record=record):
            yield record.stream, "receipt", spread(record.delivered + record.void)


def spread(ranges):
    """The seqs of some ranges."""
    return [seq for first, last in ranges for seq in range(first, last + 1)]


async def commands():
    """The lines of standard input."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


async def obey(host, command):
    try:
        await getattr(host, command["do"])(command)
    except (udpim.Error, KeyError) as error:
        say("failed", command["who"], do=command["do"], error=repr(error))


def say(event, who, **fields):
    """Say something that needs no journal."""
    line = {"event": event, "who": who, "at_s": time.monotonic(), **fields}
    os.write(sys.stdout.fileno(), (json.dumps(line) + "\n").encode())


async def main(args):
    host = Host()
    trap = Trap(args.target, args.phase, lambda **fields: say("killing", "process", **fields))
    install(trap, host.witness, hasty=args.hasty)
    host.watch_receipts()
    say("up", "process")
    tasks = set()
    async for command in commands():
        task = asyncio.create_task(obey(host, command))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    say("counts", "process", counts=trap.counts)


def run(argv):
    """Be a runner until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", help="kind and ordinal of the last effect: PutOutbox#2")
    parser.add_argument("--phase", choices=PHASES)
    parser.add_argument("--hasty", action="store_true", help="promise before it is durable")
    asyncio.run(main(parser.parse_args(argv)))
