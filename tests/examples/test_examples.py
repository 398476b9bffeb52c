"""The programs in examples/ run, and print what they are meant to show."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "examples"
PRINTED = {
    "authenticate": [
        "bob got 'hi' from alice",
        "alice knows: DELIVERED",
        "bob is refused: wrong credentials",
        "mallory is refused: no such account",
    ],
    "may_send": ["support got 'help' from guest-1", "to support: DELIVERED", "to alice: FORBIDDEN"],
    "on_message": [
        "bob got hi",
        "alice knows: DELIVERED",
        "alice knows: REJECTED",
        "bob got bye",
        "alice knows: DELIVERED",
    ],
    "on_offline": [
        "bob's phone is registered, and goes away",
        "push to bob's phone: 1 from alice",
        "alice knows: STORED",
        "bob got 'call me'",
        "alice knows: DELIVERED",
    ],
    "membership": [
        "carol cannot join: FORBIDDEN",
        "members: alice, bob",
        "bob got 'noon?' in the group",
        "alice knows: DELIVERED",
    ],
    "reroute": [
        "support got how do I pay?",
        "alice knows: DELIVERED",
        "dora got urgent: it burns",
        "alice knows: DELIVERED to dora instead",
    ],
    "presence": ["alice sees bob online: True ['phone']", "mallory learns nothing"],
}
WEB = {"web_client", "web_server"}


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints_what_happened_and_ends(name):
    run = subprocess.run(
        [sys.executable, "-W", "error", FOLDER / f"{name}.py"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, PRINTED[name], "") == (run.returncode, run.stdout.splitlines(), run.stderr)


def test_every_example_is_run():
    assert PRINTED.keys() | WEB == {path.stem for path in FOLDER.glob("*.py")}
