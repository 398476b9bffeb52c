"""Nothing that users write, no name and no token can be read on the wire, and no nonce comes twice.

verification.md §2 P9: a canary in everything that is secret, and a search through all that crossed.
The same search finds each of them in plaintext, so it can fail.
"""

import pytest

from udpim.cli import demo, main
from udpim.cli.tally import Tally
from udpim.config import ClientConfig
from udpim.crypto.packet_opener import PacketOpener
from udpim.model import GroupAction
from udpim.testing import Profile, World
from udpim.wire.packet import FLAG_ENCRYPTED, is_long

ALICE, BOB, GROUP = "canary-alice", "canary-bob", "#canary-group"
DEVICE, TOKEN = "canary-device", "canary-token"
SECRETS = (ALICE, BOB, GROUP, DEVICE, TOKEN, "canary-text", "canary-signal", "canary-large")


def everything(seed):
    """A world in which every secret has crossed, on a bad network."""
    world = World(seed, faults=Profile(loss_ratio=0.1, duplicate_ratio=0.05, jitter_s=0.02))
    world.server()

    def client(user, device=DEVICE):
        config = ClientConfig(user=user, device=device, token=TOKEN.encode())
        return world.client(user, device, config=config)

    alice, bob = client(ALICE), client(BOB)
    world.online()
    alice.ask_group(GroupAction.CREATE, GROUP)
    world.run(5.0)
    alice.ask_group(GroupAction.JOIN, GROUP, BOB)
    world.run(5.0)
    alice.send(BOB, [b"canary-text %d" % n for n in range(20)])
    alice.send(GROUP, b"canary-text")
    alice.send(BOB, b"canary-large" * 1000)
    alice.signal(BOB, b"canary-signal")
    alice.ask(BOB)
    world.run(10.0)
    bob.crash()
    alice.send(BOB, b"canary-text while away")
    world.run(30.0)
    bob.start()
    world.heal_and_settle()
    world.check()
    return [crossing.data for crossing in world.network.trace]


def found(captured, secrets):
    return {secret for secret in secrets if any(secret.encode() in data for data in captured)}


def test_a_world_of_secrets_shows_none_of_them(seed, monkeypatch):
    monkeypatch.setattr(World, "encrypted", True)
    captured = everything(seed)
    assert set() == found(captured, SECRETS)
    assert all(data[0] & FLAG_ENCRYPTED for data in captured)


def test_in_plaintext_the_same_search_finds_every_one(seed, monkeypatch):
    monkeypatch.setattr(World, "encrypted", False)
    assert set(SECRETS) == found(everything(seed), SECRETS)


LOG = """[12:00] <canary-dora> canary-line one
[12:01] <canary-erik> canary-dora: canary-line two
""" + "".join(
    f"[12:02] <canary-dora> canary-line {n}\n[12:03] <canary-erik> yes\n" for n in range(30)
)


@pytest.fixture
def capture(monkeypatch):
    """What passes the demo's relay, the tokens of its users, and the keys of its connections."""
    captured, tokens, opener = [], {}, PacketOpener()
    watch, learn, cast = Tally.watch, Tally.learn, demo.Cast.__init__

    def watched(tally, data, up):
        captured.append(data)
        watch(tally, data, up)

    def learned(tally, secrets):
        opener.add(secrets)
        learn(tally, secrets)

    def cast_with(self, address, all_tokens, folder, **options):
        tokens.update(all_tokens)
        cast(self, address, all_tokens, folder, **options)

    monkeypatch.setattr(Tally, "watch", watched)
    monkeypatch.setattr(Tally, "learn", learned)
    monkeypatch.setattr(demo.Cast, "__init__", cast_with)
    return captured, tokens, opener


@pytest.mark.parametrize("security", ["require", "plain"])
def test_a_capture_of_the_demo(capture, capsys, tmp_path, seed, security):
    captured, tokens, opener = capture
    log = tmp_path / "log"
    log.write_text(LOG)
    args = ("--seed", str(seed), "--delay", "1", "--security", security)
    assert 0 == main(["demo", "--replay", str(log), *args]), capsys.readouterr()
    secrets = ["canary-line", "canary-dora", "canary-erik", *tokens.values()]
    assert len(tokens) == 2
    if security == "plain":
        assert set(secrets) == found(captured, secrets)
        return
    assert set() == found(captured, secrets)
    packets = [data for data in captured if not is_long(data)]
    opened = list(filter(None, map(opener.open, packets)))
    assert len(opened) > 30
    assert len(opened) == len(packets)
    nonces = [(one.cid, one.generation, one.number) for one in opened]
    assert len(nonces) == len(set(nonces))
