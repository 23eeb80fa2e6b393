"""Batches of 32,768 x 1,024 cached features from disk, against a list of tensors and `pad_sequence` as in SAIL."""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import interleaved, ratio, run_case, save, timed

PAIRS, BATCH, WIDTH = 131_072, 32_768, 1024
EPOCHS = 3
WRITTEN_ROWS = 8192


def write_features(folder: str, pairs: int, width: int) -> dict[str, Any]:
    """Write the features of a frozen image tower and a frozen text tower as the feature cache keeps them."""
    for seed, name in enumerate(("image", "text")):
        random = np.random.default_rng(seed)
        with (Path(folder) / f"{name}.bin").open("wb") as file:
            for start in range(0, pairs, WRITTEN_ROWS):
                rows = random.standard_normal((min(WRITTEN_ROWS, pairs - start), width), dtype=np.float32)
                # Half precision, so that both types hold the same numbers.
                file.write(rows.astype(np.float16).astype("<f4").tobytes())
            os.fsync(file.fileno())
    return {"seconds": 0.0}


def _order(pairs: int, batch: int) -> Any:
    """The pairs of each batch, which both sides put together."""
    from vlcore.data.batch_order import PairOrder

    return PairOrder(_table(pairs), batch, shuffle=True, arrangement="blocks")


def _places(name: str, pairs: int) -> NDArray[np.int64]:
    """Row of each pair in a feature file: images lie in order, texts as the cache sorts some thousand by length."""
    from vlcore.data.feature_cache import SORTED_TEXTS

    if name == "image":
        return np.arange(pairs)
    random, starts = np.random.default_rng(7), range(0, pairs, SORTED_TEXTS)
    return np.concatenate([start + random.permutation(min(SORTED_TEXTS, pairs - start)) for start in starts])


def _table(pairs: int) -> Any:
    from vlcore.data.pairs import PairTable

    numbers = np.arange(pairs, dtype=np.int64)
    return PairTable([""] * pairs, [], [""] * pairs, numbers, numbers)


def _digest(*sides: torch.Tensor) -> str:
    """Of the numbers of a batch, whatever their type."""
    digest = hashlib.sha256()
    for side in sides:
        digest.update(side.to(torch.float16).numpy().tobytes())
    return digest.hexdigest()


def sail(folder: str, pairs: int, batch: int, width: int, precision: str = "float32") -> dict[str, Any]:
    """The way of SAIL (arXiv 2412.04616), `data/embedding_data.py`: a Python list of one tensor per sample.

    Its collation stacks by `pad_sequence`, in the training process (`--workers 0`). That all tensors are in memory
    before the clock starts is in its favour.
    """
    from torch.nn.utils.rnn import pad_sequence

    lists = []
    for name in ("image", "text"):
        stored = np.fromfile(Path(folder) / f"{name}.bin", dtype="<f4").reshape(pairs, width)
        values = torch.from_numpy(stored).to(getattr(torch, precision))
        lists.append([values[place].clone() for place in _places(name, pairs).tolist()])
        del stored, values
    order = _order(pairs, batch)
    seconds, digests = [], []
    for numbers in (numbers for epoch in range(EPOCHS) for numbers in order.batches(epoch)):

        def assemble(numbers: NDArray[np.int64] = numbers) -> tuple[torch.Tensor, torch.Tensor]:
            samples = [(lists[0][index], lists[1][index]) for index in numbers.tolist()]
            image, text = map(list, zip(*samples, strict=True))
            return pad_sequence(image, batch_first=True), pad_sequence(text, batch_first=True)

        sides, duration = timed(assemble)
        seconds.append(duration)
        digests.append(_digest(*sides))
    return {"seconds": float(np.median(seconds)), "batches": digests}


def sail_half(folder: str, pairs: int, batch: int, width: int) -> dict[str, Any]:
    """SAIL's own precision: half the bytes."""
    return sail(folder, pairs, batch, width, "float16")


def vlcore(folder: str, pairs: int, batch: int, width: int) -> dict[str, Any]:
    """`vlcore.data`: the rows of a batch out of the mapped files, in blocks, through the loader that trains."""
    from vlcore.data.collate import PairCollate
    from vlcore.data.feature_rows import FeatureRows
    from vlcore.data.resumable_loader import ResumableLoader

    table = _table(pairs)
    sides = [FeatureRows(Path(folder) / f"{name}.bin", width, _places(name, pairs)) for name in ("image", "text")]
    loader = ResumableLoader(_order(pairs, batch), PairCollate(table, *sides))
    seconds, digests = [], []
    for epoch in range(EPOCHS):
        loader.set_epoch(epoch)
        batches = iter(loader)
        for _ in range(len(loader)):
            assembled, duration = timed(partial(next, batches))
            seconds.append(duration)
            digests.append(_digest(assembled.image_features, assembled.text_features))
    first = seconds[: len(loader)]
    return {
        "seconds": float(np.median(seconds)),
        "first_epoch_seconds": float(np.median(first)),
        "batches": digests,
    }


def vlcore_cold(folder: str, pairs: int, batch: int, width: int) -> dict[str, Any]:
    """`vlcore` where the operating system is asked to forget the files first: its first epoch reads the disk."""
    for name in ("image", "text"):
        descriptor = os.open(Path(folder) / f"{name}.bin", os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    run = vlcore(folder, pairs, batch, width)
    return {**run, "seconds": run["first_epoch_seconds"]}


def main(repeats: int = 5, pairs: int = PAIRS, batch: int = BATCH, width: int = WIDTH) -> None:
    """Compare every batch first, then time."""
    names = ("sail", "sail_half", "vlcore", "vlcore_cold")
    with tempfile.TemporaryDirectory(prefix="vlcore-features-") as folder:
        run_case("benchmarks.batch_assembly:write_features", folder=folder, pairs=pairs, width=width)
        cases = {name: f"benchmarks.batch_assembly:{name}" for name in names}
        runs = interleaved(cases, repeats, folder=folder, pairs=pairs, batch=batch, width=width)
    equal = len({tuple(run.pop("batches")) for several in runs.values() for run in several}) == 1
    speed = {name: ratio(runs, "sail", name) for name in ("vlcore", "vlcore_cold")}
    half = {name: ratio(runs, "sail_half", name) for name in ("vlcore", "vlcore_cold")}
    print(f"  equal: {equal}; {speed['vlcore']['median']:.1f} x faster than in the same precision, ", end="")
    print(f"{half['vlcore']['median']:.1f} x than in half; {speed['vlcore_cold']['median']:.1f} x with cold files")
    size = {"pairs": pairs, "batch": batch, "width": width, "sides": 2, "type": "float32", "epochs": EPOCHS}
    save(
        "batch_assembly",
        {"size": size, "equal": equal, "speedup": speed, "speedup_over_half_precision": half, "runs": runs},
    )


if __name__ == "__main__":
    main()
