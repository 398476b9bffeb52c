"""``listen`` ends by count, by time, or by Ctrl-C."""

import signal

from tests.cli.processes import PLAIN, server, started, udpim


def listen(address, *more):
    return ("listen", address, "--user", "bob", *PLAIN, *more)


def test_time_alone_is_a_good_end():
    with server("--memory", "--open") as (address, _):
        done = udpim(*listen(address, "--timeout", "0.1"))
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_too_few_messages_in_time_is_exit_3():
    with server("--memory", "--open") as (address, _):
        done = udpim(*listen(address, "--timeout", "0.1", "--count", "1"))
    assert (3, "", "") == (done.returncode, done.stdout, done.stderr)


def test_people_read_sender_and_text():
    with server("--memory", "--open") as (address, _):
        udpim(*listen(address, "--timeout", "0.1"))
        with started(*listen(address, "--timeout", "60"), stop=signal.SIGINT) as process:
            done = udpim(
                "send", address, "--user", "alice", *PLAIN, "--to", "bob", "h\x1bllo",
                "--timeout", "50",
            )  # fmt: skip
            assert "alice: h\\x1bllo\n" == process.stdout.readline()
        assert (130, ("", "udpim: interrupted\n")) == (process.returncode, process.rest)
    assert (0, "delivered") == (done.returncode, done.stdout.split()[0])


def test_another_login_of_the_device_ends_it():
    with server("--memory", "--open") as (address, _):
        with started(*listen(address, "--timeout", "60", "--count", "1")) as first:
            # The second login displaces the first, whichever of the two came earlier.
            udpim(*listen(address, "--timeout", "1"))
            udpim(*listen(address, "--timeout", "1"))
            first.wait(50)
        assert 1 == first.returncode
        assert first.rest[1].startswith("udpim: ")
        assert 1 == first.rest[1].count("\n")
