"""The import contracts of pyproject.toml, as a test; and proof that they can be broken."""

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint_imports(root):
    """Run import-linter over the packages below root, whatever is installed."""
    paths = f"import sys; sys.path[:0] = {[str(root / d) for d in ('', 'bench', 'tools')]!r}; "
    return subprocess.run(
        [sys.executable, "-c", paths + LINT, "--no-cache", "--no-logo"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_import_contracts_are_kept():
    run = lint_imports(ROOT)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        ("udpim/hop/stray.py", "import udpim.im.stray", "udpim.hop is not allowed to import"),
        ("udpim/im/stray.py", "import udpim.hop.stray", "udpim.im is not allowed to import"),
        ("udpim/wire/stray.py", "import udpim.node.stray", "udpim.wire is not allowed to import"),
        ("udpim/hop/stray.py", "import time", "udpim.hop is not allowed to import time"),
        ("udpim/node/stray.py", "import os.path", "udpim.node is not allowed to import os"),
        ("udpim/model.py", "import random", "udpim.model is not allowed to import random"),
        ("udpim/hop/stray.py", "import construct", "udpim is not allowed to import construct"),
        ("udpim/runtime/stray.py", "import scapy.all", "udpim is not allowed to import scapy"),
        (
            "udpim/testing/decoder/stray.py",
            "import udpim.wire.stray",
            "udpim.testing.decoder is not allowed to import udpim.wire",
        ),
        ("udpim/stray.py", "", "not listed as layers"),
    ],
)
def test_a_broken_contract_is_noticed(tmp_path, module, line, complaint):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    floors = ["hop", "im", "node", "wire", "runtime", "crypto", "testing", "testing/decoder"]
    stubs = [f"udpim/{f}/{name}.py" for f in floors for name in ("__init__", "stray")]
    stubs += ["udpim/testing/wiretap.py", "udpim/testing/aliases.py"]
    roots = [f"{p}/__init__.py" for p in ("udpim", "bench/udpim_bench", "tools/udpim_tools")]
    for stub in [*roots, *stubs]:
        (tmp_path / stub).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / stub).touch()
    assert lint_imports(tmp_path).returncode == 0
    (tmp_path / module).write_text(line + "\n")
    run = lint_imports(tmp_path)
    assert run.returncode != 0
    assert complaint in " ".join(run.stdout.split())


def test_the_core_depends_on_construct_and_cryptography_only():
    required = importlib.metadata.requires("udpim") or []
    names = sorted(r.split(">")[0].split("<")[0] for r in required if "extra ==" not in r)
    assert ["construct", "cryptography"] == names
