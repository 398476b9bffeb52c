"""A tape: all that is needed to play one run again, as a JSON file.

It holds the plan, every decision that was not zero, what was violated, and the hash of the trace,
so that whoever plays it knows whether he saw the same run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udpim.errors import ConfigError
from udpim.testing.choices import Tape
from udpim.testing.sim.plan import Plan, from_json, to_json
from udpim.testing.sim.run import Result

FORMAT = "udpim-sim-tape/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a tape file holds."""

    plan: Plan
    tape: Tape
    violated: tuple[str, ...]
    story: str
    trace: str

    @classmethod
    def of(cls, result: Result) -> Recording:
        """Keep a run."""
        return cls(
            plan=result.plan,
            tape=result.tape,
            violated=result.violated,
            story=result.story,
            trace=result.trace,
        )

    def dump(self) -> str:
        """Return the file's text."""
        value: dict[str, Any] = {
            "format": FORMAT,
            "violated": self.violated,
            "story": self.story,
            "trace": self.trace,
            "plan": to_json(self.plan),
            "decisions": {
                label: {str(number): value for number, value in sorted(made.items())}
                for label, made in sorted(self.tape.items())
            },
        }
        return json.dumps(value, indent=1) + "\n"


def load(path: Path) -> Recording:
    """Read a tape.

    Raises:
        ConfigError: If it cannot be read, or is no tape.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
        if value["format"] != FORMAT:
            raise ConfigError(f"{path} has format {value['format']!r}, not {FORMAT!r}")
        return Recording(
            plan=from_json(value["plan"]),
            tape={
                label: {int(number): made for number, made in numbers.items()}
                for label, numbers in value["decisions"].items()
            },
            violated=tuple(value["violated"]),
            story=value["story"],
            trace=value["trace"],
        )
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path} is not a tape of the simulator: {error}") from error
