"""What all tests share: repeatable randomness, outside data, what CI demands."""

import gc
import os
import shutil
import subprocess
import uuid
import zlib
from pathlib import Path

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

# The default finds the same examples on every machine, so that a red run is red again.
# UDPIM_HYPOTHESIS=explore looks for new ones; hypothesis then prints how to replay a failure.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    print_blob=True,
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow],  # a verdict about the machine, not about the code
)
settings.register_profile(
    "explore", parent=settings.get_profile("repeatable"), derandomize=False, max_examples=5000
)
settings.load_profile(os.environ.get("UDPIM_HYPOTHESIS", "repeatable"))


# Tracing makes Python three to four times slower, and the branches of the cores are the business of
# the tests of the cores: where nothing else is measured, coverage rests during all other tests.
CORES = ("wire", "crypto", "hop", "im", "node")

# Files with few but long tests: begun last, one of them would keep one core busy alone.
LONG = {
    "test_large.py", "test_swarm.py", "test_base.py", "test_replay.py", "test_flat.py",
    "test_flat_traffic.py", "test_slow.py", "test_sender.py", "test_recipient.py", "test_server.py",
    "test_model.py", "test_sizes.py", "test_garbage.py", "test_hostile.py", "test_cli.py",
    "test_lab.py", "test_exchange.py", "test_restart.py", "test_window.py", "test_im_codec.py",
    "test_handshake_tampering.py", "test_run.py",
}  # fmt: skip


def pytest_collection_modifyitems(config, items):
    """Begin with long files, and have coverage of the cores rest where others are tested."""
    measured = set(config.getoption("cov_source", None) or ())
    on = measured and not config.getoption("no_cov")
    if on and measured <= {f"udpim.{core}" for core in CORES}:
        here = Path(__file__).parent
        for item in items:
            if item.path.relative_to(here).parts[0] not in CORES:
                item.add_marker(pytest.mark.no_cover)
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_collection_finish():
    """Spare every later garbage collection the thousands of tests and all that was imported."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session):
    """In a worker of xdist, end the coverage that nobody can pause.

    A worker sees the options of its controller, so pytest-cov starts the coverage of a controller
    there, and then that of the worker above it. The marker pauses the latter only.
    """
    plugin = session.config.pluginmanager.getplugin("_cov")
    controller = getattr(plugin, "cov_controller", None)
    if controller is None or not hasattr(session.config, "workerinput"):
        return
    controller.pause()
    below = Coverage.current()
    if below is not None:
        below.stop()
    controller.resume()


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_this_user(tmp_path_factory):
    """Keep tests, and the processes that they start, from the files of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.delenv("UDPIM_KEYLOGFILE", raising=False)
        patch.delenv("UDPIM_QLOG", raising=False)
        yield


@pytest.fixture
def seed(request):
    """The seed of a random test: fixed for each test, printed, replaced by UDPIM_SEED."""
    value = int(os.environ.get("UDPIM_SEED") or zlib.crc32(request.node.nodeid.encode()))
    print(f"seed {value}; replay: UDPIM_SEED={value} pytest '{request.node.nodeid}'")
    return value


def _folder_named_by(variable):
    named = os.environ.get(variable)
    if not named:
        pytest.skip(f"{variable} is not set; it names a folder that the repository does not hold")
    folder = Path(named)
    assert folder.is_dir(), f"{variable} names {folder}, which is not a folder"
    return folder


@pytest.fixture(scope="session")
def vectors_dir():
    """The folder of public crypto vectors."""
    return _folder_named_by("UDPIM_VECTORS")


@pytest.fixture(scope="session")
def irc_dir():
    """The folder of real chat logs."""
    return _folder_named_by("UDPIM_DATA")


def why_no_netns():
    """Say why network namespaces cannot be made here, or return None when they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need the command `ip` (iproute2)"
    name = f"udpim-{uuid.uuid4().hex[:8]}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"`ip netns add` failed: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return None


@pytest.fixture(scope="session")
def require_root_netns():
    """Skip where network namespaces cannot be made; in CI (UDPIM_CI) that is a failure."""
    reason = why_no_netns()
    if reason is None:
        return
    if os.environ.get("UDPIM_CI"):
        pytest.fail(f"CI must run this test, but {reason}")
    pytest.skip(reason)
