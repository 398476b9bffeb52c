"""How connections end."""

from udpim.hop.codes import CloseCode, CloseInfo, CloseKind


def test_close_codes_are_the_numbers_of_the_specification():
    assert {code.name: code.value for code in CloseCode} == {
        "NO_ERROR": 0,
        "IDLE_TIMEOUT": 1,
        "PROTOCOL_ERROR": 2,
        "REPLACED": 3,
        "SHUTDOWN": 4,
        "STORE_FAILED": 5,
        "LOGIN_REFUSED": 6,
        "RESET": 7,
        "DEAD": 8,
        "TOO_MANY_STREAMS": 9,
        "KEYS_USED_UP": 10,
        "REVOKED": 11,
        "APPLICATION_FIRST": 256,
    }


def test_ends_compare_by_value():
    info = {"code": 4, "reason": "", "by_peer": True, "kind": CloseKind.CLOSED}
    assert CloseInfo(**info) == CloseInfo(**info)
