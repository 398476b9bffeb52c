"""Words for what a declaration checks, so that PROTOCOL.md's tables can be printed from it.

Used by the declarations (`hop_schema`, `im_schema`) and read by `layout`: PROTOCOL §2 to §4.
"""

from __future__ import annotations

from typing import Any

import construct as c


def told(declaration: c.Construct[Any, Any], words: str) -> c.Construct[Any, Any]:
    """Give a declaration the words for its rule, and return it.

    construct's own ``declaration * words`` would wrap it, and add a step to the path in errors.
    """
    declaration.docs = words
    return declaration
