"""Training of experts from a model directory and a table, on tiny towers."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from random_towers import plain_model
from test_expert_model import trained

import vlcore
from vlcore.data.datamodule import ManifestDataModule
from vlcore.errors import ConfigurationError, ManifestError
from vlcore.hub import safe_loading
from vlcore.hub.model_card import ModelCard
from vlcore.hub.model_directory import save_model_directory
from vlcore.retrieval.model import Model
from vlcore.tasks.callbacks import SaveModelDirectory
from vlcore_remote_sensing.semantic_experts.expert_model import expert_head, with_experts
from vlcore_remote_sensing.semantic_experts.knowledge_base import seed_knowledge_base
from vlcore_remote_sensing.semantic_experts.task import SemanticExpertTask


@pytest.fixture
def aligned(tmp_path, monkeypatch):
    known = safe_loading.allowed_packages()
    monkeypatch.setattr(safe_loading, "allowed_packages", lambda: {*known, "random_towers"})
    monkeypatch.setattr("vlcore.encoders._plugin_packages", lambda: {"random_towers", "vlcore_remote_sensing"})
    save_model_directory(tmp_path / "aligned", plain_model().network, ModelCard("aligned"))
    return str(tmp_path / "aligned")


def test_experts_learn_the_plain_model_stands_still_and_the_run_leaves_a_model(
    aligned, base, tiny_manifest, tmp_path, images
):
    base.save(tmp_path / "concepts.csv")
    seed_everything(0, verbose=False)
    task = SemanticExpertTask(aligned, str(tmp_path / "concepts.csv"), learning_rate=0.01, warmup=0)
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=12,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[SaveModelDirectory(weights="last")],
        default_root_dir=tmp_path / "run",
    )
    losses = []
    task.on_train_epoch_end = lambda: losses.append(float(trainer.callback_metrics["train/loss"]))
    trainer.fit(task, datamodule=ManifestDataModule(str(tiny_manifest), batch_size=16, val_fraction=0.3))
    assert losses[-1] < losses[0]
    moved = {name for name, value in task.model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and all(
        name == "logit_scale" or (name.startswith("image_head.") and "plain" not in name) for name in moved
    )
    loaded = vlcore.load(tmp_path / "run" / "model", device="cpu")
    assert expert_head(loaded.network).concepts == task.model.image_head.concepts
    plain = plain_model()
    assert (loaded.embed_pixels(images) != plain.embed_pixels(images)).any()
    expert_head(loaded.network).active = False
    assert (loaded.embed_pixels(images) == plain.embed_pixels(images)).all()


def test_the_plugins_own_table_is_the_default(aligned):
    task = SemanticExpertTask(aligned, taps=(1, 3, 7), attention_heads=2)
    assert len(task.model.image_head.concepts) == len(seed_knowledge_base())
    assert task.model.image_encoder.taps == (1, 3, 7)
    assert not task.model.text_head.training and task.model.image_head.experts.training


def test_bad_rows_and_models_with_experts_are_told(aligned, base, tmp_path):
    (tmp_path / "bad.csv").write_text("concept_id,level\n")
    with pytest.raises(ManifestError, match="the header"):
        SemanticExpertTask(aligned, str(tmp_path / "bad.csv"))
    network = trained(with_experts(Model(plain_model().network, "plain", device="cpu"), base))
    save_model_directory(tmp_path / "experts", network, ModelCard("experts"))
    with pytest.raises(ConfigurationError, match="experts already"):
        SemanticExpertTask(str(tmp_path / "experts"))
