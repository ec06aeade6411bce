"""What some code imports, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys


def imported(code: str, *watched: str) -> set[str]:
    """Which of the watched modules are there after some code ran in a process of its own."""
    script = (
        f"import sys, json\n{code}\nprint('\\n' + json.dumps([name for name in {watched!r} if name in sys.modules]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    return set(json.loads(done.stdout.splitlines()[-1]))
