"""The state of an object and of all that it leads to, as one hash; counters are no state."""

from collections import OrderedDict, deque
from enum import Enum
from hashlib import blake2b

COUNTERS = {"drops", "_drops", "stats", "forged_packets", "events"}
"""Attributes that may change without anything having happened."""
PLAIN = (int, float, str, bytes, bool, type(None), Enum)


def attributes(thing):
    """Name → value of everything that an object of ours remembers."""
    names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    found = {name: getattr(thing, name) for name in names if hasattr(thing, name)}
    return found | getattr(thing, "__dict__", {})


def digest(*roots, without=()):
    """The hash of these objects; attributes of the names in ``without`` are left out as well."""
    hash_, seen, count = blake2b(digest_size=16), {}, 0
    left_out = COUNTERS | set(without)
    stack = list(reversed(roots))
    add = hash_.update
    while stack:
        thing = stack.pop()
        if isinstance(thing, PLAIN):
            add(repr(thing).encode() + b";")
            continue
        if id(thing) in seen:
            add(b"#%d;" % seen[id(thing)])
            continue
        count += 1
        seen[id(thing)] = count
        add(type(thing).__name__.encode() + b"(")
        if isinstance(thing, dict | OrderedDict):
            add(b"%d" % len(thing))
            stack += [part for item in thing.items() for part in item]
        elif isinstance(thing, list | tuple | deque):
            add(b"%d" % len(thing))
            stack += thing
        elif isinstance(thing, set | frozenset):
            add(repr(sorted(map(repr, thing))).encode())
        elif type(thing).__module__.startswith(("udpim", "tests")):
            for name, value in attributes(thing).items():
                if name not in left_out:
                    add(name.encode() + b"=")
                    stack.append(name)
                    stack.append(value)
    return hash_.hexdigest(), count
