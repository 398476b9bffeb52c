"""What the decoder and the product's codecs say of the same bytes, in one form."""

import json
from pathlib import Path

from udpim.errors import DecodeError

VECTORS = Path(__file__).parent.parent.parent / "vectors"
REFUSED = "refused"


def verdict(read, data):
    """What a reader says, as text: types, values, or that it refuses; nothing else may leave it."""
    try:
        return repr(read(data))
    except DecodeError:
        return REFUSED


def im_vectors():
    """(kind, bytes, whole entry) of every golden IM packet."""
    for path in sorted((VECTORS / "im").glob("*.json")):
        for entry in json.loads(path.read_text("utf-8")):
            yield entry["kind"], bytes.fromhex("".join(part for part, _ in entry["bytes"])), entry
