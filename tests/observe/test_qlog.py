"""A qlog is a JSON text sequence: a header, and a record for each event."""

import json

from udpim.observe.qlog import Qlog, text_of


def qlog():
    records, times = [], iter([0.0, 0.0015, 2.0])
    return Qlog("alice/phone", "client", lambda: next(times), records.append), records


def test_a_text_begins_with_the_separator_and_ends_its_line():
    text = text_of({"name": "é", "data": {}})
    assert ("\x1e", "\n") == (text[0], text[-1])
    assert 1 == text.count("\n")
    assert {"name": "é", "data": {}} == json.loads(text[1:])


def test_the_header_says_what_it_is_and_whose():
    log, _ = qlog()
    header = log.header(12.5)
    assert ("0.3", "JSON-SEQ") == (header["qlog_version"], header["qlog_format"])
    assert {"name": "alice/phone", "type": "client"} == header["trace"]["vantage_point"]
    assert 12.5 == header["trace"]["common_fields"]["reference_time"]


def test_an_event_has_a_time_in_milliseconds_and_perhaps_a_connection():
    log, records = qlog()
    log.event("udpim:told", {"words": "hi"})
    log.event("udpim:told", {}, "ab")
    assert [
        {"time": 0.0, "name": "udpim:told", "data": {"words": "hi"}},
        {"time": 1.5, "name": "udpim:told", "data": {}, "group_id": "ab"},
    ] == records


def test_each_connection_is_a_group():
    log, records = qlog()
    log.new_trace("client", b"\x01\x02").dropped("duplicate")
    assert [("connectivity:connection_started", "0102"), ("transport:packet_dropped", "0102")] == [
        (record["name"], record["group_id"]) for record in records
    ]
