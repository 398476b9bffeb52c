"""What an endpoint may be configured to."""

import pytest

from udpim.crypto.noise.suites import X25519_DH
from udpim.crypto.security import (
    AES_SHA256,
    CHACHA_BLAKE2S,
    PATTERNS,
    SUITES,
    XK,
    XK_PSK,
    XX,
    XX_PSK,
    ClientSecurity,
    ServerSecurity,
)
from udpim.errors import ConfigError

PRIVATE = bytes(range(1, 33))
STATIC = X25519_DH.key_pair(PRIVATE)
SERVER_KEY = X25519_DH.key_pair(bytes(range(2, 34))).public
PSK = b"a secret that has thirty-2 bytes"


def accept(_key):
    return True


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({"server_key": SERVER_KEY}, XK),
        ({"accept_key": accept}, XX),
        ({"server_key": SERVER_KEY, "psk": PSK}, XK_PSK),
        ({"accept_key": accept, "psk": PSK}, XX_PSK),
    ],
)
def test_what_a_client_knows_decides_on_its_pattern(options, pattern):
    security = ClientSecurity(static=STATIC, **options)
    assert pattern == security.pattern
    assert PATTERNS[pattern].psks == len(security.psks)


@pytest.mark.parametrize(
    ("options", "patterns"),
    [
        ({}, (XK, XX)),
        ({"first_contact": False}, (XK,)),
        ({"psk": PSK}, (XK_PSK, XX_PSK)),
        ({"psk": PSK, "first_contact": False}, (XK_PSK,)),
    ],
)
def test_a_server_with_a_shared_secret_takes_nobody_without(options, patterns):
    security = ServerSecurity(static=STATIC, **options)
    assert patterns == security.patterns
    assert {PATTERNS[pattern].psks for pattern in patterns} == {len(security.psks)}


def test_the_numbers_of_patterns_and_suites_are_those_of_the_specification():
    assert {1: "XK", 2: "XX", 3: "XKpsk3", 4: "XXpsk3"} == {n: p.name for n, p in PATTERNS.items()}
    names = {n: suite.protocol_name("XK") for n, suite in SUITES.items()}
    assert "Noise_XK_25519_ChaChaPoly_BLAKE2s" == names[CHACHA_BLAKE2S]
    assert "Noise_XK_25519_AESGCM_SHA256" == names[AES_SHA256]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"server_key": SERVER_KEY, "accept_key": accept},
        {"server_key": SERVER_KEY[:-1]},
        {"server_key": bytes(32)},
        {"server_key": SERVER_KEY, "psk": PSK[:-1]},
        {"server_key": SERVER_KEY, "suite": 3},
    ],
    ids=["no server", "two servers", "short key", "no key", "short secret", "unknown suite"],
)
def test_a_client_that_cannot_work_is_refused(options):
    with pytest.raises(ConfigError):
        ClientSecurity(static=STATIC, **options)


@pytest.mark.parametrize("options", [{"psk": b""}, {"suites": ()}, {"suites": (1, 9)}])
def test_a_server_that_cannot_work_is_refused(options):
    with pytest.raises(ConfigError):
        ServerSecurity(static=STATIC, **options)


@pytest.mark.parametrize(
    "security",
    [
        ClientSecurity(static=STATIC, server_key=SERVER_KEY, psk=PSK),
        ServerSecurity(static=STATIC, psk=PSK),
    ],
    ids=["client", "server"],
)
def test_secrets_are_not_printed(security):
    for secret in (PRIVATE, PSK):
        assert repr(secret) not in repr(security)
        assert secret.hex() not in repr(security)
    assert STATIC.public.hex() in repr(security)
