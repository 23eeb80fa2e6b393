import copy

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from small_towers import small_data, small_task, small_trainer

from vlcore.errors import ConfigurationError
from vlcore.hub.model_directory import load_model_directory
from vlcore.tasks.averaging import ExponentialMovingAverage
from vlcore.tasks.callbacks import SaveModelDirectory

MONITOR = {"monitor": "val/mean_recall", "mode": "max"}


def embeddings(model):
    images = torch.randint(0, 256, (3, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    tokens = model.text_encoder.tokenizer(["a red square", "everything here is blue"])
    model = copy.deepcopy(model).eval()
    with torch.no_grad():
        return model.encode_images(images), model.encode_texts(tokens.input_ids, tokens.attention_mask)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(embeddings(one), embeddings(other), strict=True))


class Record(Callback):
    """The weights after every step, and the score after every epoch."""

    def __init__(self):
        self.steps, self.scores, self.models = [], [], []

    def on_train_batch_end(self, trainer, pl_module, *rest):
        self.steps.append({name: value.clone() for name, value in pl_module.model.state_dict().items()})

    def on_validation_end(self, trainer, pl_module):
        self.scores.append(float(trainer.callback_metrics["val/mean_recall"]))
        self.models.append(copy.deepcopy(pl_module.model))


def run(manifest, folder, *callbacks, task=None, **options):
    task = task or small_task(image_trainable="all")
    trainer = small_trainer(folder, callbacks=list(callbacks), enable_checkpointing=True, **options)
    trainer.fit(task, datamodule=small_data(manifest, batch_size=4))
    return task


def test_the_last_weights_load_to_the_same_embeddings(tiny_manifest, tmp_path):
    task = run(tiny_manifest, tmp_path, SaveModelDirectory(weights="last", name="Colours"))
    loaded = load_model_directory(tmp_path / "model")
    assert same(task.model, loaded.model)
    card = loaded.card
    assert card.name == "Colours"
    assert card.training["weights"] == "last" and card.training["epochs"] == 2 and card.training["steps"] == 8
    assert card.training["learning_rate"] == 0.05 and card.training["averaged"] is False
    assert card.data["parts"]["train"] == {"images": 8, "captions": 16}
    assert 0 <= card.scores["val"]["mean_recall"] <= 100
    assert card.towers["image"]["source"] == "small/colours"


def test_the_best_weights_are_those_of_the_best_epoch(tiny_manifest, tmp_path):
    record, saving = Record(), SaveModelDirectory()
    task = small_task(image_trainable="all", learning_rate=0.3)
    keep = ModelCheckpoint(dirpath=tmp_path, filename="best", **MONITOR)
    run(tiny_manifest, tmp_path, record, keep, saving, task=task, max_epochs=6)
    best = record.scores.index(max(record.scores))
    loaded = load_model_directory(tmp_path / "model")
    assert loaded.fingerprint == saving.fingerprint
    assert same(record.models[best], loaded.model)
    assert loaded.card.training["epochs"] == best + 1
    assert loaded.card.scores["val"]["mean_recall"] == pytest.approx(max(record.scores))


@pytest.mark.parametrize("which", ["last", "best"])
def test_averaged_weights_are_saved_where_they_are_averaged(tiny_manifest, tmp_path, which):
    decay = 0.8
    record = Record()
    task = small_task(text_trainable="all", learning_rate=0.3)
    frozen = {name: value.clone() for name, value in task.model.image_encoder.state_dict().items()}
    keep = ModelCheckpoint(dirpath=tmp_path, filename="best", save_top_k=1, mode="max", monitor="step")
    average = ExponentialMovingAverage(decay=decay)
    task.on_validation_end = lambda: None
    run(tiny_manifest, tmp_path, record, average, keep, SaveModelDirectory(weights=which), task=task, max_epochs=3)

    expected = {name: value.double() for name, value in record.steps[0].items()}
    for step in record.steps[1:]:
        expected = {name: decay * expected[name] + (1 - decay) * value.double() for name, value in step.items()}
    loaded = load_model_directory(tmp_path / "model")
    state = loaded.model.state_dict()
    for name, value in expected.items():
        assert torch.allclose(state[name].double(), value, atol=1e-5), name
    assert not torch.allclose(state["image_head.projection.weight"], record.steps[-1]["image_head.projection.weight"])
    # Averaging must not wear frozen weights away by rounding: the tower keeps its fingerprint and its cached features.
    for name, value in frozen.items():
        assert torch.equal(loaded.model.image_encoder.state_dict()[name], value)
    assert loaded.card.training["averaged"] is True


def test_the_average_never_exceeds_the_temperature_bound(tiny_manifest, tmp_path):
    task = small_task(learning_rate=5.0, warmup=0)
    with torch.no_grad():
        task.model.logit_scale.fill_(4.6)
    run(tiny_manifest, tmp_path, ExponentialMovingAverage(decay=0.5), SaveModelDirectory(weights="last"), task=task)
    assert load_model_directory(tmp_path / "model").model.logit_scale.exp() <= 100.001


def test_averaging_may_start_later(tiny_manifest, tmp_path):
    record = Record()
    average = ExponentialMovingAverage(decay=0.5, start_step=6)
    task = run(tiny_manifest, tmp_path, record, average, max_epochs=2)
    name = "image_head.projection.weight"
    expected = 0.5 * record.steps[6][name] + 0.5 * record.steps[7][name]
    assert torch.allclose(task.model.state_dict()[name], expected, atol=1e-6)


def test_a_dry_run_writes_nothing(tiny_manifest, tmp_path):
    run(tiny_manifest, tmp_path / "run", SaveModelDirectory(), fast_dev_run=True)
    assert not (tmp_path / "run" / "model").exists()


def test_best_without_anything_that_keeps_it_is_refused_before_the_work(tiny_manifest, tmp_path):
    with pytest.raises(ConfigurationError, match="no checkpoint callback with a monitor"):
        run(tiny_manifest, tmp_path, SaveModelDirectory(), ModelCheckpoint(dirpath=tmp_path))


def test_a_chosen_folder_is_used(tiny_manifest, tmp_path):
    run(tiny_manifest, tmp_path / "run", SaveModelDirectory(folder=str(tmp_path / "here"), weights="last"))
    assert load_model_directory(tmp_path / "here").card.name == "run"
