"""`make bench`, or `python -m benchmarks [PART …]`."""

from __future__ import annotations

import sys
from importlib import import_module

PARTS = (
    "import_time",
    "retrieval_metrics",
    "text_embedding",
    "image_embedding",
    "contrastive_loss",
    "text_training",
    "locked_image_training",
    "batch_assembly",
    "embed_memory",
    "alignment",
    "frozen_alignment",
    "finding_labels",
    "remote_sensing",
    "medical_tasks",
    "semantic_experts",
)


def main() -> None:
    """Run the named parts, or all of them."""
    chosen = sys.argv[1:] or list(PARTS)
    unknown = set(chosen) - set(PARTS)
    if unknown:
        raise SystemExit(f"Unknown part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}.")
    for part in chosen:
        print(part, flush=True)
        import_module(f"benchmarks.{part}").main()


if __name__ == "__main__":
    main()
