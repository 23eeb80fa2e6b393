"""Fresh process per measurement, interleaved repeats, medians and spread, raw JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
REPOSITORY = Path(__file__).resolve().parents[1]
THREADS = 2


def data_root() -> Path:
    """Folder of the real data sets."""
    root = Path(os.environ.get("VLCORE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not root.is_dir():
        raise SystemExit(f"Real data not found in {root}: set VLCORE_DATA.")
    return root


def run_case(target: str, **arguments: Any) -> dict[str, Any]:
    """Run `module:function(**arguments)` in a process of its own and return what it returns."""
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        command = [sys.executable, "-m", "benchmarks.harness", target, json.dumps(arguments), answer.name]
        environment = dict(os.environ, HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", PYTHONWARNINGS="ignore")
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{target} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        result: dict[str, Any] = json.loads(Path(answer.name).read_text())
        return result


def interleaved(cases: Mapping[str, str], repeats: int, **arguments: Any) -> dict[str, list[dict[str, Any]]]:
    """Run every case once per repeat, in turn, so that a busy machine slows all of them alike."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in cases}
    for repeat in range(repeats):
        for name, target in cases.items():
            result = run_case(target, **arguments)
            runs[name].append(result)
            print(f"  {repeat + 1}/{repeats} {name}: {result['seconds']:.2f} s", flush=True)
    return runs


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Result and wall seconds of one call."""
    start = time.perf_counter()
    value = function()
    return value, time.perf_counter() - start


def ratio(runs: Mapping[str, Sequence[Mapping[str, Any]]], peer: str, ours: str) -> dict[str, float]:
    """How many times faster ours is: median of the paired ratios, with the least and the greatest."""
    ratios = [float(a["seconds"]) / float(b["seconds"]) for a, b in zip(runs[peer], runs[ours], strict=True)]
    return {"median": statistics.median(ratios), "least": min(ratios), "greatest": max(ratios)}


def save(part: str, values: Mapping[str, Any]) -> None:
    """Write `results/<part>.json` with the machine and the versions."""
    packages = ("torch", "torchvision", "timm", "transformers", "lightning", "open_clip_torch", "sentence-transformers")
    machine = {
        "cores": os.cpu_count(),
        "threads": THREADS,
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{part}.json").write_text(json.dumps({"part": part, **values, "machine": machine}, indent=1) + "\n")


def _main() -> None:
    import torch

    target, arguments, answer = sys.argv[1:]
    torch.set_num_threads(THREADS)
    module, _, function = target.partition(":")
    result = getattr(import_module(module), function)(**json.loads(arguments))
    Path(answer).write_text(json.dumps(result))


if __name__ == "__main__":
    _main()
