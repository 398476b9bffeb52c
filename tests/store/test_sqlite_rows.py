"""What both kinds of SQLite store share: unsigned numbers, inserts of many rows."""

import sqlite3

import pytest

from tests.store.samples import OTHER, STREAM
from udpim.im.records import PutMeta
from udpim.store.sqlite_rows import CHUNK_ROWS, OFFSET, Rows, ranges_of, stream_key, stream_of


@pytest.fixture
def connection():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB)")
    yield connection
    connection.close()


@pytest.mark.parametrize("stream", [STREAM, OTHER])
def test_a_stream_survives_its_columns(stream):
    assert stream == stream_of(*stream_key(stream))


def test_unsigned_numbers_fit_and_keep_their_order(connection):
    numbers = [0, 1, 2**63 - 1, 2**63, 2**64 - 1]
    for number in numbers:
        connection.execute("INSERT INTO meta VALUES (?, ?)", (f"{number}", number - OFFSET))
    found = connection.execute("SELECT value FROM meta ORDER BY value").fetchall()
    assert numbers == [value + OFFSET for (value,) in found]


def test_ranges_come_back_from_json():
    assert ((1, 2), (4, 4)) == ranges_of([[1, 2], [4, 4]])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 127, 128, 129, 300])
def test_many_rows_take_few_statements(connection, count):
    statements = []
    rows = Rows(connection)
    rows.begin()
    rows.apply([PutMeta(f"{i}", b"%d" % i) for i in range(count)])
    connection.set_trace_callback(statements.append)
    rows.commit()
    found = dict(connection.execute("SELECT key, value FROM meta"))
    assert {f"{i}": b"%d" % i for i in range(count)} == found
    inserts = [sql for sql in statements if sql.startswith("INSERT")]
    assert len(inserts) <= count // CHUNK_ROWS + CHUNK_ROWS.bit_length()


def test_a_rollback_undoes_everything_and_can_be_repeated(connection):
    rows = Rows(connection)
    rows.begin()
    rows.apply([PutMeta("a", b"")])
    rows.rollback()
    rows.rollback()
    rows.begin()
    rows.apply([PutMeta("b", b"")])
    rows.commit()
    assert [("b",)] == connection.execute("SELECT key FROM meta").fetchall()
