"""A level in another process does and says the same as one in this process."""

import pytest

from udpim_bench import flat_worker
from udpim_bench.flat_worker import Local, Remote
from udpim_bench.measure import WrongCounts

HOP = {"in_flight": 2, "rounds": 10}


def test_both_kinds_do_the_same():
    answers = []
    for kind in (Local, Remote):
        level = kind("hop", HOP)
        answers.append((level.sample("calls"), level.counts()))
        assert level.sample("µs")["frame"] > 0
        level.close()
    assert answers[0] == answers[1]


def test_work_that_was_not_done_is_told_across():
    with pytest.raises(WrongCounts, match="messages are queued"):
        Remote("backlog", {"backlog": 5, "streams": 1, "cycles": 1, "sqlite": False})


class Broken:
    """A level whose samples go wrong."""

    closed = False

    def sample(self, unit):
        raise WrongCounts(f"2 sent, 1 receipted, in {unit}")

    def close(self):
        self.closed = True


class Pipe:
    """The worker's end of a pipe that brings one request and is closed then."""

    def __init__(self):
        self.sent = []

    def recv(self):
        if len(self.sent) == 2:
            raise EOFError
        return "sample", ("µs",)

    def send(self, answer):
        self.sent.append(answer)


def test_a_sample_that_went_wrong_is_told_across(monkeypatch):
    level, pipe = Broken(), Pipe()
    monkeypatch.setattr(flat_worker, "Local", lambda kind, arguments: level)
    flat_worker._serve(pipe, "hop", {})
    assert [(True, None), (False, "2 sent, 1 receipted, in µs")] == pipe.sent
    assert level.closed


def test_a_process_that_dies_is_noticed():
    level = Remote("hop", HOP)
    level._process.kill()
    with pytest.raises(WrongCounts, match="died"):
        level.counts()
    level.close()


def test_a_process_that_hangs_is_noticed(monkeypatch):
    level = Remote("hop", HOP)
    monkeypatch.setattr(flat_worker, "ANSWER_S_MAX", 0.0)
    with pytest.raises(WrongCounts, match="does not answer"):
        level._answer()
    level.close()
