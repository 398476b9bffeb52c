"""Edge cases of cryptographic functions, as the Wycheproof project writes them down."""

import json

TEXTS = {"comment", "result"}


def cases(folder, name):
    """Each case of a file: its fields (hex made bytes), together with those of its group."""
    whole = json.loads((folder / f"wycheproof-{name}_test.json").read_text("utf-8"))
    found = [
        {k: v for k, v in group.items() if k != "tests"} | {k: read(k, v) for k, v in test.items()}
        for group in whole["testGroups"]
        for test in group["tests"]
    ]
    assert whole["numberOfTests"] == len(found)
    return found


def read(name, value):
    return bytes.fromhex(value) if isinstance(value, str) and name not in TEXTS else value
