"""Each node of a run has a qlog in virtual time, and the run is the same with it."""

import json

from tests.testing.sim.plans import receipt_is_cut_off
from udpim.testing.sim.qlogs import Qlogs
from udpim.testing.sim.run import run


def played(plan):
    qlogs = Qlogs()
    result = run(plan, watch=qlogs.watch, new_trace=qlogs.new_trace)
    return result, qlogs


def records(text):
    return [json.loads(part) for part in text.split("\x1e")[1:]]


def test_every_node_has_a_file():
    plan = receipt_is_cut_off()
    _, qlogs = played(plan)
    texts = qlogs.texts()
    names = [f"{seat.host.replace('/', '-')}.sqlog" for seat in plan.seats]
    assert sorted([*names, "server.sqlog"]) == list(texts)
    for name, text in texts.items():
        header, *events = records(text)
        assert name.startswith(header["trace"]["vantage_point"]["name"].replace("/", "-"))
        assert ("server" if name == "server.sqlog" else "client") == header["trace"][
            "vantage_point"
        ]["type"]
        assert events


def test_times_are_those_of_the_world():
    result, qlogs = played(receipt_is_cut_off())
    for text in qlogs.texts().values():
        times = [event["time"] for event in records(text)[1:]]
        assert sorted(times) == times
        assert times[-1] <= 1000 * result.virtual_s


def test_what_a_node_claims_stands_between_its_packets():
    _, qlogs = played(receipt_is_cut_off())
    events = records(qlogs.texts()["bob-phone.sqlog"])[1:]
    words = [one["data"]["words"] for one in events if one["name"] == "udpim:told"]
    assert "has committed alice/phone→bob#1" in words
    assert any(one["name"] == "udpim:im_packet_sent" for one in events)


def test_a_run_is_the_same_with_qlogs_and_so_are_they_again(tmp_path):
    plan = receipt_is_cut_off()
    result, qlogs = played(plan)
    assert run(plan).trace == result.trace
    again = played(plan)[1]
    paths = again.write(tmp_path / "new" / "folder")
    assert qlogs.texts() == {path.name: path.read_text("utf-8") for path in paths}
