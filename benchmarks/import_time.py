"""`import vlcore`: seconds, and that it brings no torch."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from benchmarks.harness import save

_CODE = (
    "import sys, time; start = time.perf_counter(); import vlcore; "
    "print(time.perf_counter() - start, 'torch' in sys.modules)"
)


def main(repeats: int = 9) -> None:
    """Measure in fresh interpreters."""
    runs: list[dict[str, Any]] = []
    for _ in range(repeats):
        out = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True).stdout.split()
        runs.append({"seconds": float(out[0]), "torch_imported": out[1] == "True"})
    median = statistics.median(run["seconds"] for run in runs)
    print(f"  import vlcore: {median:.3f} s, torch imported: {any(run['torch_imported'] for run in runs)}")
    save("import_time", {"runs": runs, "median_seconds": median})
