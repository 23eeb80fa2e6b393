"""The benchmark for GPUs is known to run: here in its tiny form, on whatever there is."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_tiny_form_runs_every_part():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.gpu", "--tiny"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    runs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("  {")]
    trained = [run for run in runs if "pairs_per_second" in run]
    assert {run["precision"] for run in trained} == {"32-true", "bf16-mixed"}
    assert any(run.get("compile") for run in trained)
    assert any(run["pairs"] == 32 and run["micro_batch_size"] == 8 for run in trained)
    for run in trained:
        first, last = run["first_and_last_loss"]
        # Eight pairs that come again in every step are soon learned.
        assert last < first
    assert {(run["objective"], run["pairs"]) for run in runs if "seconds" in run} == {
        (name, pairs) for name in ("info_nce", "siglip") for pairs in (64, 128)
    }


def test_the_full_form_says_that_it_needs_a_gpu():
    import torch

    if torch.cuda.is_available():
        return
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "There is no GPU here" in done.stderr
