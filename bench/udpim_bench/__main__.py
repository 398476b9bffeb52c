"""The command ``udpim_bench``; see `udpim_bench.cli`."""

from __future__ import annotations

import sys

from udpim_bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
