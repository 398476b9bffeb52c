"""The error tree: what catches what, and the one line that each error says."""

from types import SimpleNamespace

import pytest

from udpim import errors
from udpim.model import MessageState, MsgId, RejectCode, StreamId

RECEIPT = SimpleNamespace(
    msgid=MsgId(StreamId("alice", "phone", 7, "bob"), 12), state=MessageState.VOID
)


NOBODY = "nobody is there, or somebody with another key or another choice of security"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            errors.ConnectTimeout("chat:9000", 2.5),
            f"no answer from chat:9000 within 2.5 s: {NOBODY}",
        ),
        (errors.LoginError(1, "wrong token"), "login refused: wrong token"),
        (errors.LoginError(16, "another login took its place"), "another login took its place"),
        (errors.LoginError(17, "access was revoked"), "access was revoked"),
        (errors.ConnectionClosed(3, "another login"), "closed: another login (code 3)"),
        (errors.DeliveryVoid(RECEIPT), "message alice/phone→bob#12: void"),
        (
            errors.DeliveryTimeout(RECEIPT),
            "message alice/phone→bob#12: deadline over, outcome unknown",
        ),
        (
            errors.DeliveryRejected(RECEIPT, RejectCode.FORBIDDEN, "not allowed"),
            "message alice/phone→bob#12: rejected, not allowed",
        ),
        (errors.OutboxFull(1000), "outbox full: 1000 messages are unsettled"),
        (errors.AsideFull(3, 40), "3 messages of 40 bytes are set aside: no room"),
        (errors.PresenceRefused("bob"), "the presence of bob is not to be seen"),
        (errors.UnknownUser("bob"), "there is no user bob"),
        (errors.TooManyInquiries(64), "64 questions about presence wait for answers already"),
        (errors.PayloadTooLarge(9, 8), "payload of 9 bytes is over the limit of 8"),
        (
            errors.StoreLocked("a.db", "another process has it"),
            "store a.db: another process has it",
        ),
        (errors.NotHome("7-abc"), "process 7-abc of the cluster holds the store, not this one"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_error_says_one_line(error, line):
    assert line == str(error)
    assert isinstance(error, errors.Error)


@pytest.mark.parametrize(
    ("kind", "bases"),
    [
        (errors.ConfigError, (ValueError,)),
        (errors.ConnectTimeout, (errors.ConnectError, TimeoutError)),
        (errors.HandshakeFailed, (errors.ConnectError,)),
        (errors.LocalProtocolError, (errors.ProtocolError,)),
        (errors.RemoteProtocolError, (errors.ProtocolError,)),
        (errors.DeliveryTimeout, (errors.DeliveryError, TimeoutError)),
        (errors.DeliveryVoid, (errors.DeliveryError,)),
        (errors.DeliveryRejected, (errors.DeliveryError,)),
        (errors.PayloadTooLarge, (ValueError,)),
        (errors.PresenceRefused, (errors.PresenceError,)),
        (errors.UnknownUser, (errors.PresenceError,)),
        (errors.StoreLocked, (errors.StoreError,)),
        (errors.StoreFormat, (errors.StoreError,)),
        (errors.StoreFenced, (errors.StoreError,)),
        (errors.StoreFull, (errors.StoreError,)),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_error_is_caught_by_its_bases(kind, bases):
    for base in (errors.Error, *bases):
        assert issubclass(kind, base)


def test_every_error_has_one_base():
    raised = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert [] == [k for k in raised if issubclass(k, Exception) and not issubclass(k, errors.Error)]


def test_errors_carry_their_data():
    full = errors.AsideFull(3, 40)
    assert (3, 40) == (full.messages, full.size_bytes)
    timeout = errors.ConnectTimeout("chat:9000", 2.5)
    assert ("chat:9000", 2.5) == (timeout.address, timeout.timeout_s)
    login = errors.LoginError(1, "no")
    assert (1, "no") == (login.code, login.reason)
    closed = errors.ConnectionClosed(3, "bye")
    assert (3, "bye") == (closed.code, closed.reason)
    rejected = errors.DeliveryRejected(RECEIPT, 17, "no")
    assert (RECEIPT, 17, "no") == (rejected.receipt, rejected.code, rejected.words)
    assert 5 == errors.OutboxFull(5).limit
    large = errors.PayloadTooLarge(9, 8)
    assert (9, 8) == (large.size_bytes, large.limit_bytes)
    assert "bob" == errors.UnknownUser("bob").user
    assert 64 == errors.TooManyInquiries(64).limit
    store = errors.StoreFull("a.db", "disk full")
    assert ("a.db", "disk full") == (store.path, store.words)
