"""Medical tasks that two cores can train, each beside its floors; see the modules of `benchmarks.medical`."""

from __future__ import annotations

import tempfile

from benchmarks.harness import run_case, save

CASES = (
    "questions:questions",
    "chest_xrays:diagnosis",
    "chest_xrays:retrieval",
    "lungs:grounding",
    "lungs:segmentation",
    "reports:impressions",
)


def main() -> None:
    """Every task in a process of its own; the features of images and texts are encoded once for all."""
    result = {}
    with tempfile.TemporaryDirectory() as cache:
        for case in CASES:
            name = case.partition(":")[2]
            result[name] = run_case(f"benchmarks.medical.{case}", cache=cache)
            print(f"  {name}: done", flush=True)
    save("medical_tasks", result)
