"""Whatever has a layout, a code, a state or a limit has a table, from the values that run."""

import pytest

from udpim import config
from udpim.config import LIMIT_NAMES, Limits
from udpim.hop.codes import CloseCode
from udpim.model import GroupAction, GroupCode, MessageState, PresenceCode, RejectCode
from udpim.node.state import TRANSITIONS, LinkInput, LinkState
from udpim.wire import hop_schema, im_schema
from udpim_tools.amounts import amount
from udpim_tools.protocol_tables import CONSTANTS, LAYOUT, TIMERS, joined, tables

TABLES = tables()


def cells(name):
    """The rows of a table by their first cell."""
    return {row[0]: row[1:] for row in TABLES[name].rows}


def test_every_im_packet_frame_with_fields_and_datagram_has_a_layout():
    frames = {
        name for number, name in hop_schema.FRAME_NAMES.items()
        if hop_schema.FRAME_FIELDS[number].subcons
    }  # fmt: skip
    packets = {kind.label for kind in im_schema.SCHEMAS}
    datagrams = {"HELLO", "RETRY", "WELCOME", "RESET", "VERSION", "short packet"}
    assert len(datagrams) == len(hop_schema.DATAGRAMS)
    layouts = {name for name, table in TABLES.items() if table.columns == LAYOUT}
    assert layouts >= packets | frames | datagrams


@pytest.mark.parametrize("name", TABLES)
def test_rows_have_a_key_each_and_a_cell_for_each_column(name):
    table = TABLES[name]
    assert len({row[0] for row in table.rows}) == len(table.rows) > 0
    assert {len(table.columns)} == {len(row) for row in table.rows}


@pytest.mark.parametrize("name", TABLES)
def test_no_cell_would_break_its_table(name):
    table = TABLES[name]
    assert [] == [cell for row in (table.columns, *table.rows) for cell in row if "|" in cell]


def test_layouts_of_other_shape_are_not_joined():
    assert joined([TABLES["msg:A"], TABLES["msg:N"]]) is None
    assert joined([TABLES["close codes"], TABLES["close codes"]]) is None
    assert TABLES["msg:A"] == joined([TABLES["msg:A"]])


def test_the_links_table_holds_every_transition_and_nothing_else():
    named = cells("link states")
    for state in LinkState:
        for moved, cell in zip(LinkInput, named[state.name], strict=True):
            after = TRANSITIONS.get((state, moved))
            assert cell == (after.name if after else "–")


def test_codes_are_those_of_the_enums():
    assert {code.name: (str(int(code)),) for code in CloseCode} == cells("close codes")
    assert {code.name for code in RejectCode} == cells("reject codes").keys()
    assert ("2", "tries again") == cells("reject codes")["FULL"]
    assert ("18", "gives up") == cells("reject codes")["TOO_LARGE"]
    assert {code.name: (str(int(code)),) for code in GroupCode} == cells("group codes")
    assert {action.name: (str(int(action)),) for action in GroupAction} == cells("group actions")
    assert {code.name: (str(int(code)),) for code in PresenceCode} == cells("presence codes")


def test_states_that_rise_have_their_rank_and_final_ones_say_so():
    named = cells("message states")
    assert {state.name for state in MessageState} == named.keys()
    assert [("0", ""), ("3", "yes"), ("4", "yes"), ("", "yes"), ("", "")] == [
        named[name] for name in ("PENDING", "DELIVERED", "READ", "VOID", "UNKNOWN")
    ]


def test_every_limit_has_its_default_and_its_outcome():
    named = cells("limits")
    assert [f"`{name}`" for name in LIMIT_NAMES] == list(named)
    for name in LIMIT_NAMES:
        assert amount(name, getattr(Limits(), name)) == named[f"`{name}`"][0]
        assert config.about(name).outcome == named[f"`{name}`"][-1]


def test_constants_and_timers_have_their_values():
    for name, numbers in (("constants", CONSTANTS), ("timers", TIMERS)):
        expected = {f"`{key}`": (amount(key, value),) for key, value in numbers.items()}
        assert expected == cells(name)
