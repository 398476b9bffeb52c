"""Rows and operations are values; what they print of secrets is nothing."""

from udpim.im.records import ClientSnapshot, PutMeta, ServerSnapshot


def test_named_values_are_not_printed():
    op = PutMeta("static_key", b"a secret")
    snapshots = (ClientSnapshot(meta=dict([op])), ServerSnapshot(meta=dict([op])))
    assert "static_key" in repr(op)
    assert not any("secret" in repr(one) for one in (op, *snapshots))
