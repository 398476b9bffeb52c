"""Everything that is counted anywhere in a node is shown by its statistics."""

import dataclasses
import inspect
import json
from collections import deque

import pytest

from tests.node.net import Net
from udpim.node.state import LinkState
from udpim.node.stats import client_stats, server_stats

FIRST = 10**12
"""No counter of a test comes so far by itself."""


def attributes(thing):
    names = {name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())}
    names |= set(getattr(thing, "__dict__", ()))
    return {name: getattr(thing, name) for name in sorted(names) if hasattr(thing, name)}


def reachable(root):
    """Every object of ours that hangs on ``root``, and the path to it."""
    seen, found = {id(root)}, [(type(root).__name__, root)]
    for path, thing in found:
        if isinstance(thing, dict):
            inner = [("[]", value) for pair in thing.items() for value in pair]
        elif isinstance(thing, list | tuple | set | frozenset | deque):
            inner = [("[]", value) for value in thing]
        else:
            inner = [(f".{name}", value) for name, value in attributes(thing).items()]
        for name, value in inner:
            ours = type(value).__module__.partition(".")[0] == "udpim"
            container = isinstance(value, dict | list | tuple | set | frozenset | deque)
            if (ours or container) and not inspect.isroutine(value) and id(value) not in seen:
                seen.add(id(value))
                found.append((path + name, value))
    return [(path, thing) for path, thing in found if type(thing).__module__ != "builtins"]


def counters(root):
    """(path, dict of counts by reason) and (path, dataclass of counts)."""
    by_reason, stats = [], []
    for path, thing in reachable(root):
        for name, value in attributes(thing).items():
            if name in ("drops", "errors"):
                by_reason.append((f"{path}.{name}", value))
        if dataclasses.is_dataclass(thing) and type(thing).__name__.endswith("Stats"):
            stats.append((path, thing))
    return by_reason, stats


def leaves(stats, path=""):
    for key, value in stats.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield path + key, value


def online_client():
    net = Net()
    net.server()
    return net.client("alice").online().node


def dialling_client():
    net = Net()
    return net.client("alice").online().node


def busy_server():
    net = Net()
    server = net.server()
    net.client("bob").online()
    net.client("alice").online().send("bob", b"hi")
    net.run(1)
    return server.node


CASES = {
    "client, online": (online_client, client_stats, {"ClientNode", "Outbox", "Inbox"}),
    "client, dialling": (dialling_client, client_stats, {"Dialer", "HopTotals"}),
    "server": (busy_server, server_stats, {"ServerNode", "Router", "Listener", "Connection"}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_reason_for_a_drop_is_shown(case):
    make, show, owners = CASES[case]
    node = make()
    by_reason, _ = counters(node)
    kinds = {type(thing).__name__ for _, thing in reachable(node)}
    assert owners <= kinds
    assert len(owners) <= len(by_reason)
    for number, (_, drops) in enumerate(by_reason, start=FIRST):
        drops[f"probe {number}"] = number
    shown = {key.partition(": ")[2]: count for key, count in show(node)["drops"].items()}
    probes = {f"probe {number}": number for number in range(FIRST, FIRST + len(by_reason))}
    assert probes == {key: count for key, count in shown.items() if key in probes}, by_reason


@pytest.mark.parametrize("case", CASES)
def test_every_field_of_every_stats_is_shown(case):
    make, show, _ = CASES[case]
    node = make()
    _, stats = counters(node)
    assert stats
    for path, counted in stats:
        for field in dataclasses.fields(counted):
            before = getattr(counted, field.name)
            setattr(counted, field.name, FIRST)
            shown = [(key, n) for key, n in leaves(show(node)) if isinstance(n, int)]
            keys = [key for key, count in shown if count >= FIRST]
            assert [field.name] == [key.rpartition(".")[2] for key in keys], path
            setattr(counted, field.name, before)


@pytest.mark.parametrize("case", CASES)
def test_statistics_are_plain_numbers_and_words(case):
    make, show, _ = CASES[case]
    stats = show(make())
    assert stats == json.loads(json.dumps(stats, allow_nan=False))
    assert {int, float, str} >= {type(value) for _, value in leaves(stats)}


def test_tables_show_how_full_they_are():
    net = Net()
    server = net.server()
    bob, alice = net.client("bob").online(), net.client("alice").online()
    bob.handles = False
    alice.send("bob", bytes(1000), b"hi")
    net.run(1)
    assert 2 == client_stats(bob.node)["inbox"]["waiting_messages"]
    assert 1002 == client_stats(bob.node)["inbox"]["waiting_bytes"]
    shown = server_stats(server.node)
    assert (2, 2) == (shown["sessions"], shown["connections"])
    assert (2, 2) == (shown["router"]["registered_users"], shown["router"]["registered_devices"])
    bob.node.close(net.now)
    net.run(1)
    alice.send("bob", b"later")
    net.run(1)
    assert 1 == server_stats(server.node)["router"]["queued_messages"]
    assert 1 == client_stats(alice.node)["outbox"]["open_messages"]


def test_the_steps_of_a_login_are_counted_where_they_wait():
    net = Net()
    server = net.server()
    server.settle()
    server.hold_logins = True
    net.client("alice").connect()
    net.run(0.5)
    assert 1 == server_stats(server.node)["logins_authenticating"]
    server.store.held = True
    server.answer()
    net.run(0.5)
    shown = server_stats(server.node)
    assert (0, 1) == (shown["logins_authenticating"], shown["logins_committing"])
    server.store.held = False
    net.run(1)
    shown = server_stats(server.node)
    assert (0, 1) == (shown["logins_committing"], shown["sessions"])


def test_establishment_is_counted_on_both_sides():
    net = Net()
    client = net.client("alice").online()
    assert LinkState.DIALING is client.node.state
    repeated = client_stats(client.node)["hop"]["hellos_sent"]
    assert repeated > 1
    server = net.server(unproven_handshakes_max=0)
    net.run(3)
    listener = server_stats(server.node)["listener"]
    assert (1, 1) == (listener["retries_sent"], listener["connections_accepted"])
    assert (2, 1) == (listener["hellos_received"], listener["handshakes"])
    assert 1 == client_stats(client.node)["hop"]["retries_received"]
    server.restart()
    client.send("alice", b"hi")
    net.run(3)
    assert 1 == server_stats(server.node)["listener"]["resets_sent"]
    assert 1 == client_stats(client.node)["hop"]["resets_received"]
