"""Every script in benchmarks/ starts: it finds all that it imports, and says what it is for."""

import subprocess
import sys
from pathlib import Path


def test_every_script_answers_help(scripts: Path) -> None:
    started = []
    for script in sorted(scripts.glob("*.py")):
        if '__name__ == "__main__"' in script.read_text():
            done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert done.stdout.startswith(f"usage: {script.name}")
            started.append(script.name)
    assert {"throughput.py", "update.py", "loop.py", "envs.py", "memory.py", "gpu.py"} <= set(started)
