"""Fixtures shared by all tests: real data where it is, small synthetic data everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

# No test may reach a hub; set before any library reads it.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]

sys.path.append(str(Path(__file__).parent))  # small_bert, for tests of several rooms


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real data sets; tests that need it skip where it is absent."""
    root = Path(os.environ.get("VLCORE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (root / "general" / "flickr8k" / "captions.jsonl").is_file():
        pytest.skip(f"real data not found in {root}: set VLCORE_DATA")
    return root


@pytest.fixture
def tiny_manifest(tmp_path: Path) -> Path:
    """A JSONL manifest of 12 images of flat colours, two captions each, 8 train and 4 test."""
    colours = {
        "red": (220, 30, 30),
        "green": (30, 180, 60),
        "blue": (40, 60, 220),
        "yellow": (230, 210, 40),
        "purple": (140, 50, 160),
        "white": (245, 245, 245),
    }
    folder = tmp_path / "tiny"
    folder.mkdir()
    noise = np.random.default_rng(0)
    lines = []
    for index, name in enumerate([*colours, *colours]):
        pixels = np.clip(np.array(colours[name]) + noise.normal(0, 12, (40, 56, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}_{index}.png")
        lines.append(
            {
                "image": f"{name}_{index}.png",
                "texts": [f"a {name} square .", f"everything here is {name}"],
                "split": "train" if index < 8 else "test",
                "label": name,
            }
        )
    manifest = folder / "captions.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return manifest


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    """Two threads at most: the suite shares a small machine."""
    import torch

    torch.set_num_threads(2)


@pytest.fixture
def run_program() -> Callable[..., str]:
    """Run a program of the tests in a process of its own, on one thread; its output, once it has ended well."""

    def run(program: Path, *arguments: object, timeout: int = 120, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, str(program), *map(str, arguments)],
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run
