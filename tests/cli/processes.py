"""The command as a process of its own, as a shell would run it."""

import json
import signal
import subprocess
import sys
from contextlib import contextmanager

PATIENCE_S = 60
UDPIM = (sys.executable, "-m", "udpim")
PLAIN = ("--security", "plain")


def udpim(*args, **options):
    """Run a command to its end."""
    return subprocess.run(
        (*UDPIM, *args),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        **{"stdin": subprocess.DEVNULL} | options,
    )


@contextmanager
def started(*args, stop=signal.SIGTERM, **options):
    """Run a command while the body runs; then stop it and look for complaints."""
    process = subprocess.Popen(
        (*UDPIM, *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
    try:
        yield process
        process.send_signal(stop)
        out, err = process.communicate(timeout=PATIENCE_S)
        process.rest = out, err
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@contextmanager
def server(*args, **options):
    """Run a server; yield its address and its process."""
    with started("serve", "--json", "--port", "0", *PLAIN, *args, **options) as process:
        ready = json.loads(process.stdout.readline())
        yield f"udpim://{ready['host']}:{ready['port']}", process


def one_line(text):
    """Whether this is one complaint and nothing else."""
    return text.startswith("udpim: ") and text.count("\n") == 1 and "Traceback" not in text
