"""What is printed into PROTOCOL.md, and from what: layouts, codes, states, limits and timers.

Layouts come from the construct declarations (`udpim.wire.layout`), states from the transition
tables and enums, numbers from the constants that the code runs with. A new IM packet in
``SCHEMAS``, a new frame or a new limit is a new table or row here by itself; `CONSTANTS` and
`TIMERS` name what else has a number. PROTOCOL §2 to §6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from typing import Any

from udpim import config
from udpim.config import LIMIT_NAMES, ClientConfig, Limits, ServerConfig, about
from udpim.crypto import aead_protection, handshake, security, tokens
from udpim.hop import (
    acks,
    admission,
    bindings,
    cids,
    connection,
    datagrams,
    dial,
    half_open,
    loss,
    nat,
    newreno,
    pacing,
    path,
    recovery,
    rtt,
    sealing,
    skips,
    window,
)
from udpim.hop.codes import CloseCode, ConnectionState
from udpim.hop.config import HopConfig
from udpim.im import group_questions, groups, history, puller, refusals, tally, transmitter
from udpim.model import (
    FINAL_STATES,
    GroupAction,
    GroupCode,
    LoginCode,
    MessageState,
    PresenceCode,
    RejectCode,
)
from udpim.node import aging, dispatch
from udpim.node.state import TRANSITIONS, LinkInput, LinkState
from udpim.wire import frames, hop_schema, im_schema, layout, packet, parameters
from udpim.wire.im_packets import Kind
from udpim_tools.amounts import amount

NO_MOST = 2**31 - 1
"""The ``most`` of a limit that may be as high as one likes."""
LAYOUT = ("field", "at", "bytes", "rule")
"""The columns of a layout."""

_HOP = HopConfig()
_CLIENT = ClientConfig(user="user", device="device")

CONSTANTS: dict[str, int | float] = {
    "DATAGRAM_BYTES_MAX": packet.DATAGRAM_BYTES_MAX,
    "SHORT_BYTES_MIN": packet.SHORT_BYTES_MIN,
    "HELLO_BYTES_MIN": packet.HELLO_BYTES_MIN,
    "REPLAY_PACKETS": window.REPLAY_PACKETS,
    "BITMAP_BYTES_MAX": frames.BITMAP_BYTES_MAX,
    "PACKETS_AT_ONCE": acks.PACKETS_AT_ONCE,
    "PACKETS_PER_ACK_MAX": acks.PACKETS_PER_ACK_MAX,
    "PACKET_THRESHOLD": loss.PACKET_THRESHOLD,
    "PACKET_THRESHOLD_MAX": loss.PACKET_THRESHOLD_MAX,
    "THIN_PACKETS": recovery.THIN_PACKETS,
    "THIN_TRIES": recovery.THIN_TRIES,
    "INITIAL_PACKETS": newreno.INITIAL_PACKETS,
    "MINIMUM_PACKETS": newreno.MINIMUM_PACKETS,
    "PACING_GAIN": newreno.PACING_GAIN,
    "PACED_PACKETS_MIN": newreno.PACED_PACKETS_MIN,
    "BURST_PACKETS": pacing.BURST_PACKETS,
    "FRAME_WINDOW_MIN": handshake.FRAME_WINDOW_MIN,
    "IM_PACKET_BYTES_MAX": packet.DATAGRAM_BYTES_MAX
    - packet.SHORT_HEADER_BYTES
    - connection.TAG_BYTES_MAX
    - frames.MESSAGE_HEADER_BYTES,
    "FRAGMENT_BYTES_MIN": frames.FRAGMENT_BYTES_MIN,
    "FRAGMENTS_MAX": frames.FRAGMENTS_MAX,
    "BODY_BYTES_MAX": frames.BODY_BYTES_MAX,
    "hellos_per_s": _HOP.hellos_per_s,
    "hello_burst": _HOP.hello_burst,
    "hellos_per_s_address": _HOP.hellos_per_s_address,
    "hello_burst_address": _HOP.hello_burst_address,
    "ADDRESSES_MAX": admission.ADDRESSES_MAX,
    "EARLY_DATAGRAMS_MAX": half_open.EARLY_DATAGRAMS_MAX,
    "key_update_packets": _HOP.key_update_packets,
    "resets_per_s": _HOP.resets_per_s,
    "reset_burst": _HOP.reset_burst,
    "grease_packets_max": _HOP.grease_packets_max,
    "skip_packets_mean": _HOP.skip_packets_mean,
    "SKIPS_KEPT": skips.SKIPS_KEPT,
    "RETRIES_MAX": dial.RETRIES_MAX,
    "READY_ACKS_MAX": acks.READY_ACKS_MAX,
    "RESPONSES_MAX": path.RESPONSES_MAX,
    "CIDS_MAX": cids.CIDS_MAX,
    "SEQUENCES_MAX": cids.SEQUENCES_MAX,
    "RETIRING_MAX": cids.RETIRING_MAX,
    "BINDING_FAILURES_MAX": nat.FAILURES_MAX,
    "BINDING_TRIES_MAX": nat.TRIES_MAX,
    "LOST_PACKETS_MAX": loss.LOST_PACKETS_MAX,
    "DATAGRAM_TURN_PACKETS": datagrams.TURN_PACKETS,
    "PAYLOAD_BYTES_MAX": im_schema.PAYLOAD_BYTES_MAX,
    "SECTION_BYTES_MAX": im_schema.SECTION_BYTES_MAX,
    "SIGNAL_BYTES_MAX": im_schema.SIGNAL_BYTES_MAX,
    "NAME_BYTES_MAX": im_schema.NAME_BYTES_MAX,
    "RANGES_MAX": im_schema.RANGES_MAX,
    "RUNS_MAX": im_schema.RUNS_MAX,
    "ORDINAL_BYTES_MAX": im_schema.ORDINAL_BYTES_MAX,
    "HANDLES_MAX": config.HANDLES_MAX,
    "WINDOW": config.WINDOW,
    "WINDOW_BYTES": config.WINDOW_BYTES,
    "PROBE_MESSAGES": transmitter.PROBE_MESSAGES,
    "REDIRECTS_MAX": refusals.REDIRECTS_MAX,
    "RESEND_RATIO": config.RESEND_RATIO,
    "RESEND_MESSAGES_PER_S": config.RESEND_MESSAGES_PER_S,
    "VOID_RUNS_MAX": config.VOID_RUNS_MAX,
    "HISTORY_RUNS_MAX": history.HISTORY_RUNS_MAX,
    "PULL_BYTES_MAX": config.PULL_BYTES_MAX,
    "ROWS_MAX": puller.ROWS_MAX,
    "RETIRED_INCARNATIONS_MAX": config.RETIRED_INCARNATIONS_MAX,
    "GROUP_USERS_MAX": config.GROUP_USERS_MAX,
    "GROUPS_MAX": config.GROUPS_MAX,
    "GROUP_LINES_MAX": config.GROUP_LINES_MAX,
    "ORDINALS_MAX": groups.ORDINALS_MAX,
    "LEFT_LINES_MAX": groups.LEFT_LINES_MAX,
    "TALLY_ENTRIES_MAX": im_schema.TALLY_ENTRIES_MAX,
    "GROUP_REQUESTS_MAX": dispatch.GROUP_REQUESTS_MAX,
    "QUESTIONS_MAX": group_questions.QUESTIONS_MAX,
    "INQUIRIES_MAX": config.INQUIRIES_MAX,
    "EARLY_BYTES_MAX": config.EARLY_BYTES_MAX,
    "EARLY_BYTES_TOTAL_MAX": config.EARLY_BYTES_TOTAL_MAX,
    "SKEW_MS_MAX": config.SKEW_MS_MAX,
}
"""Numbers that are no setting: the protocol's own, and the policy of one machine."""

TIMERS: dict[str, float] = {
    "hello_retry_s": _HOP.hello_retry_s,
    "hello_retry_ratio": _HOP.hello_retry_ratio,
    "hello_retry_s_max": _HOP.hello_retry_s_max,
    "hello_s_max": _CLIENT.hello_s_max,
    "ADDRESS_TOKEN_S_MAX": tokens.ADDRESS_TOKEN_S_MAX,
    "handshake_s": _HOP.handshake_s,
    "key_update_s": _HOP.key_update_s,
    "PREVIOUS_PTOS": sealing.PREVIOUS_PTOS,
    "login_s_max": ServerConfig().login_s_max,
    "max_ack_delay_s": _HOP.max_ack_delay_s,
    "MAX_ACK_DELAY_S_MAX": handshake.MAX_ACK_DELAY_S_MAX,
    "PTO_S_INITIAL": rtt.PTO_S_INITIAL,
    "PTO_S_MIN": recovery.PTO_S_MIN,
    "PTO_S_MAX": recovery.PTO_S_MAX,
    "PROBE_SPACING_S": recovery.PROBE_SPACING_S,
    "GRANULARITY_S": rtt.GRANULARITY_S,
    "BURST_S": pacing.BURST_S,
    "CHALLENGE_S_MIN": path.CHALLENGE_S_MIN,
    "BINDING_BASE_S": nat.BASE_S,
    "BINDING_FIRST_S": nat.FIRST_S,
    "BINDING_LIFE_S_MAX": nat.LIFE_S_MAX,
    "BINDING_RESOLUTION_S": nat.RESOLUTION_S,
    "BINDING_ANSWER_S": nat.ANSWER_S,
    "BINDING_REPORT_S": nat.REPORT_S,
    "PROBE_S_MAX": bindings.PROBE_S_MAX,
    "MARGIN_RATIO": nat.MARGIN_RATIO,
    "IDLE_PARTS": nat.IDLE_PARTS,
    "KEEPALIVE_S_MIN": nat.KEEPALIVE_S_MIN,
    "DATAGRAM_WAIT_S_MAX": datagrams.WAIT_S_MAX,
    "keepalive_s": _HOP.keepalive_s,
    "idle_timeout_s": _HOP.idle_timeout_s,
    "IDLE_TIMEOUT_S_MIN": handshake.IDLE_TIMEOUT_S_MIN,
    "dead_s": _HOP.dead_s,
    "CLOSING_PTOS": connection.CLOSING_PTOS,
    "E2E_TIMER_S_MIN": config.E2E_TIMER_S_MIN,
    "E2E_TIMER_S_MAX": config.E2E_TIMER_S_MAX,
    "GAP_TICK_S": config.GAP_TICK_S,
    "STATUS_LEASE_S": config.STATUS_LEASE_S,
    "TALLY_GAP_S_MIN": tally.GAP_S_MIN,
    "TALLY_INTERVAL_S_MAX": tally.INTERVAL_S_MAX,
    "AGE_TICK_S": aging.TICK_S,
    "retire_after_s": ServerConfig().retire_after_s,
    "reconnect_s_min": _CLIENT.reconnect_s_min,
    "reconnect_s_max": _CLIENT.reconnect_s_max,
}
"""Times, and the numbers that make them grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table as the code knows it."""

    columns: tuple[str, ...]
    """Headings of what is printed."""
    rows: tuple[tuple[str, ...], ...]
    """Cells; the first of each row is its key."""
    rules: tuple[str, ...] = ()
    """Rules that concern several rows."""
    own: tuple[str, ...] = ("meaning",)
    """The author's columns in a table that is new."""


def tables() -> dict[str, Table]:
    """Return everything that PROTOCOL.md has to hold, by the name in its marker."""
    return {**_layouts(), **_numbers(), **_states_and_codes(), **_limits()}


def joined(several: Sequence[Table]) -> Table | None:
    """Return the one table that holds for all, or None if they differ in more than a rule."""
    first, *others = several
    rows = list(first.rows)
    for other in others:
        same = [[row[:3] for row in table.rows] for table in (first, other)]
        if same[0] != same[1] or first.rules != other.rules or first.columns != LAYOUT:
            return None
        pairs = zip(rows, other.rows, strict=True)
        rows = [a if a[3] == b[3] else (*a[:3], f"{a[3]} or {b[3]}") for a, b in pairs]
    return replace(first, rows=tuple(rows))


# Layouts.


def _layouts() -> dict[str, Table]:
    declared: dict[str, Any] = {
        packet.LongType(first >> 3 & 7).name if first & packet.FLAG_LONG else "short packet": whole
        for first, whole in hop_schema.DATAGRAMS.items()
    }
    for first, whole in hop_schema.SECURE_DATAGRAMS.items():
        kind = packet.LongType(first >> 3 & 7)
        declared["FINISH" if kind is packet.LongType.FINISH else f"encrypted {kind.name}"] = whole
    declared["encrypted short packet"] = hop_schema.SEALED_SHORT
    for type_byte, fields in hop_schema.FRAME_FIELDS.items():
        name = hop_schema.FRAME_NAMES.get(type_byte)
        if name and fields.subcons:
            declared[name] = layout.typed(type_byte, fields)
    declared |= {
        "extension frame": layout.typed(frames.EXTENSION_MIN, hop_schema.EXTENSION),
        "stream name": im_schema.STREAM_NAME,
        "section": im_schema.SECTION,
        "member": im_schema.MEMBER,
        "tally entry": im_schema.TALLY_ENTRY,
        "device": im_schema.SEEN,
    }
    declared |= {kind.label: im_schema.SCHEMAS[kind] for kind in im_schema.SCHEMAS}
    return {name: _layout(declaration) for name, declaration in declared.items()}


def _layout(declaration: Any) -> Table:  # noqa: ANN401  # construct is untyped
    rows = tuple(
        (f"`{field}`", "" if at is None else str(at), width, rule)
        for field, at, width, rule in layout.rows(declaration)
    )
    return Table(columns=LAYOUT, rows=rows, rules=tuple(layout.rules(declaration)))


# Numbers that name layouts.


def _numbers() -> dict[str, Table]:
    allowed = {kind.label: layout.flags_allowed(it) for kind, it in im_schema.SCHEMAS.items()}
    mandatory = {i: "yes" if i in parameters.MANDATORY else "" for i in parameters.PARAMETER_BYTES}
    return {
        "long packets": _table("packet type", ((t.name, str(int(t))) for t in packet.LongType)),
        "frames": _table(
            "frame type",
            ((name, f"0x{number:02x}") for number, name in hop_schema.FRAME_NAMES.items()),
        ),
        "parameters": _table(
            "name id bytes mandatory",
            (
                (f"`{name}`", str(i), str(parameters.PARAMETER_BYTES[i]), mandatory[i])
                for i, name in hop_schema.PARAMETER_NAMES.items()
            ),
        ),
        "patterns": _table(
            "pattern byte", ((known.name, str(byte)) for byte, known in security.PATTERNS.items())
        ),
        "suites": _suites(),
        "IM packets": _table("packet kind", ((kind.label, f"0x{kind:02x}") for kind in Kind)),
        "IM flags": _table(
            "flag bit in",
            (
                (name, f"0x{bit:02x}", ", ".join(k for k, bits in allowed.items() if bits & bit))
                for bit, name in sorted(layout.FLAG_NAMES.items())
            ),
        ),
    }


def _suites() -> Table:
    """Each with what one of its keys may do."""
    limits = aead_protection.LIMITS
    return Table(
        columns=("suite", "byte", "packets a key may seal", "forgeries a connection may see"),
        rows=tuple(
            (
                suite.protocol_name("").removeprefix("Noise__"),
                str(byte),
                _power(limits[suite.cipher.name].sealed_packets_max),
                _power(limits[suite.cipher.name].forged_packets_max),
            )
            for byte, suite in security.SUITES.items()
        ),
        own=(),
    )


def _power(number: int) -> str:
    exact = number.bit_count() == 1
    return f"2^{number.bit_length() - 1}" if exact else f"2^{number.bit_length()} - 1"


def _table(columns: str, rows: Iterable[tuple[str, ...]], own: str = "meaning") -> Table:
    return Table(columns=tuple(columns.split()), rows=tuple(rows), own=(own,))


# States and codes.


def _states_and_codes() -> dict[str, Table]:
    return {
        "message states": _table(
            "state rank final",
            (
                (
                    state.name,
                    str(int(state)) if state < MessageState.VOID else "",
                    "yes" if state in FINAL_STATES else "",
                )
                for state in MessageState
            ),
        ),
        "connection states": _table("state", ((state.name,) for state in ConnectionState)),
        "link states": Table(
            columns=("state", *(moved.name for moved in LinkInput)),
            rows=tuple(
                (state.name, *(_next(state, moved) for moved in LinkInput)) for state in LinkState
            ),
            own=(),
        ),
        "close codes": _codes(CloseCode),
        "login codes": _codes(LoginCode),
        "group actions": _codes(GroupAction),
        "group codes": _codes(GroupCode),
        "presence codes": _codes(PresenceCode),
        "reject codes": _table(
            "name code sender",
            (
                (code.name, str(int(code)), "tries again" if code.transient else "gives up")
                for code in RejectCode
            ),
        ),
    }


def _next(state: LinkState, moved: LinkInput) -> str:
    after: Enum | None = TRANSITIONS.get((state, moved))
    return after.name if after else "–"


def _codes(codes: type[IntEnum]) -> Table:
    return _table("name code", ((code.name, str(int(code))) for code in codes))


# Limits and timers.


def _limits() -> dict[str, Table]:
    defaults = Limits()
    limits = []
    for name in LIMIT_NAMES:
        known, default = about(name), amount(name, getattr(defaults, name))
        low, high = amount(name, known.least), amount(name, known.most)
        allowed = f"from {low}" if known.most == NO_MOST else f"{low} to {high}"
        limits.append((f"`{name}`", default, allowed, known.of, known.per, known.outcome))
    return {
        "limits": Table(
            columns=("limit", "default", "may be", "of", "per", "when reached"),
            rows=tuple(limits),
            own=("what",),
        ),
        "constants": _named(CONSTANTS),
        "timers": _named(TIMERS),
    }


def _named(numbers: dict[str, Any]) -> Table:
    rows = ((f"`{name}`", amount(name, value)) for name, value in numbers.items())
    return _table("name value", rows, "what")
