"""``python -m tests.semantics.mutants``: see `tests.semantics.mutants.campaign`."""

import sys

from tests.semantics.mutants.campaign import main

sys.exit(main())
