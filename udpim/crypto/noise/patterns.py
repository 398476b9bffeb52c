"""Handshake patterns as data: who sends which tokens when, and what both know before.

The fundamental patterns stand in a table; the deferred ones (``XK1``, ``I1X1`` …) and those with
pre-shared keys (``XXpsk3``) follow by rule. Fallback is left out: nothing here negotiates.
A pattern is an argument of :mod:`.handshake_state`.

Specification: Noise revision 34, §7.4 to §7.6 and §9; appendix 18.1 lists the deferred ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from udpim.errors import ConfigError

# Name, whose static key the other side knows before (`i`, `r`), then the messages in turn.
_TABLE = """
N   r   e es
K   ir  e es ss
X   r   e es s ss
NN  -   e           / e ee
NK  r   e es        / e ee
NX  -   e           / e ee s es
XN  -   e           / e ee          / s se
XK  r   e es        / e ee          / s se
XX  -   e           / e ee s es     / s se
KN  i   e           / e ee se
KK  ir  e es ss     / e ee se
KX  i   e           / e ee se s es
IN  -   e s         / e ee se
IK  r   e es s ss   / e ee se
IX  -   e s         / e ee se s es
"""

_NAME = re.compile(r"([NKXI])(1?)(?:([NKX])(1?))?((?:psk[0-9]\+)*psk[0-9])?")

_Messages = list[list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One handshake: even messages are the initiator's, odd ones the responder's."""

    name: str
    """As in a protocol name, modifiers included."""
    initiator_known: bool
    """Whether the responder knows the initiator's static key before."""
    responder_known: bool
    """Whether the initiator knows the responder's static key before."""
    messages: tuple[tuple[str, ...], ...]
    """The tokens of each message: e, s, psk; ee, es, se, ss with the initiator's key first."""

    @property
    def psks(self) -> int:
        """How many pre-shared keys are mixed in."""
        return sum(message.count("psk") for message in self.messages)

    @property
    def one_way(self) -> bool:
        """Whether all messages, after the handshake too, go from initiator to responder."""
        return len(self.messages) == 1

    def knows_before(self, *, initiator: bool) -> bool:
        """Whether this side must be given the other's static key."""
        return self.responder_known if initiator else self.initiator_known

    def needs_static(self, *, initiator: bool) -> bool:
        """Whether this side must have a static key of its own."""
        known = self.initiator_known if initiator else self.responder_known
        return known or any("s" in message for message in self.messages[not initiator :: 2])


def pattern_named(name: str) -> Pattern:
    """The pattern of a name like ``XK``, ``X1K1`` or ``NNpsk0+psk2``.

    Raises:
        ConfigError: If there is no such pattern.
    """
    match = _NAME.fullmatch(name)
    row = _ROWS.get(match[1] + (match[3] or "")) if match else None
    if match is None or row is None:
        raise ConfigError(f"unknown handshake pattern {name!r}")
    known, messages = row[0], [list(message) for message in row[1]]
    if match[2] or match[4]:
        messages = [[token for token in message if token != "ss"] for message in messages]
    # The initiator first: its DH may be the one that opens the message which the other moves to.
    for deferred, token in ((match[2], "se"), (match[4], "es")):
        if deferred and not _defer(messages, token):
            raise ConfigError(f"pattern {name!r} has no {token} to defer")
    if match[5] and not _mix_psks(messages, [int(digit) for digit in re.findall(r"\d", match[5])]):
        raise ConfigError(f"the psk modifiers of pattern {name!r} have no place")
    return Pattern(
        name=name,
        initiator_known="i" in known,
        responder_known="r" in known,
        messages=tuple(tuple(message) for message in messages),
    )


def _parse_row(line: str) -> tuple[str, tuple[str, _Messages]]:
    name, known, tokens = line.split(maxsplit=2)
    return name, (known, [message.split() for message in tokens.split("/")])


_ROWS = dict(_parse_row(line) for line in _TABLE.split("\n") if line)


def _defer(messages: _Messages, token: str) -> bool:
    """Move a DH to the next message: before a static key, which it then seals, or to the end."""
    for index, message in enumerate(messages):
        if token in message:
            message.remove(token)
            if index + 1 == len(messages):
                messages.append([])
            target = messages[index + 1]
            target.insert(target.index("s") if "s" in target else len(target), token)
            return True
    return False


def _mix_psks(messages: _Messages, places: list[int]) -> bool:
    """Place 0 is the start of the first message, place n the end of the n-th (Noise §9.4)."""
    if places != sorted(set(places)) or places[-1] > len(messages):
        return False
    for place in places:
        if place == 0:
            messages[0].insert(0, "psk")
        else:
            messages[place - 1].append("psk")
    return True
