"""From a pre-trained directory to answers, classes and ranks."""

from __future__ import annotations

import json

import pytest
import torch
from lightning.pytorch import Trainer

from vlcore.cli.main import main
from vlcore.data.datamodule import ManifestDataModule
from vlcore.data.record import ImageRef, Record, Text
from vlcore.errors import ConfigurationError, ImageDecodeError
from vlcore.hub.model_directory import ModelCard, load_model_directory, save_model_directory
from vlcore.plugins import registries
from vlcore.retrieval.rerank import Reranker
from vlcore.tasks.callbacks import SaveModelDirectory
from vlcore_medical.m3ae.answer_data import AnswerDataModule
from vlcore_medical.m3ae.answer_task import M3AEAnswerTask
from vlcore_medical.m3ae.build import build_m3ae
from vlcore_medical.m3ae.ranking_task import M3AERankingTask, candidate_texts


def read_questions(path):
    """One question about each tiny image; of one test image nobody has seen the answer."""
    records = []
    for line in path.read_text().splitlines():
        row = json.loads(line)
        labels = {"answer": row["label"].title(), "answer_type": "OPEN"}
        image = ImageRef(path.parent / row["image"])
        records.append(Record(row["image"], image, (Text("a square"),), None, row["split"], labels))
        labels = {"answer": "yes", "answer_type": "CLOSED"}
        records.append(Record(f"{row['image']}?", image, (Text("is everything here"),), None, row["split"], labels))
    extra = {"answer": "never seen", "answer_type": "OPEN"}
    bare = {**extra, "answer_type": ""}
    records.append(Record("new", records[0].image, (Text("a square"),), None, "test", extra))
    del bare["answer"]
    records.append(Record("bare", records[0].image, (Text("a square"),), None, "test", bare))
    return records


@pytest.fixture
def model(bert):
    torch.manual_seed(0)
    return build_m3ae("tiny", f"transformers/{bert}", image_size=32, max_tokens=16, dropout=0.0)


@pytest.fixture
def pretrained(model, tmp_path):
    card = ModelCard(name="x", command="", data={}, training={}, scores={})
    save_model_directory(tmp_path / "pretrained", model, card)
    return str(tmp_path / "pretrained")


@pytest.fixture
def questions(tiny_manifest):
    found = registries().readers
    if "small/questions" not in found:
        found.register("small/questions", read_questions)

    def make(**options):
        settings = {"reader": "small/questions", "val_split": "train", "batch_size": 8, "num_workers": 0}
        return AnswerDataModule(str(tiny_manifest), **{**settings, **options})

    return make


def trainer(folder, **options):
    settings = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    settings |= {"enable_model_summary": False, "num_sanity_val_steps": 0, "default_root_dir": folder}
    return Trainer(**{**settings, **options})


@pytest.mark.parametrize("loss", ["binary", "softmax"])
def test_it_learns_to_answer_and_what_is_saved_answers_alike(pretrained, questions, tmp_path, loss):
    torch.manual_seed(0)
    task = M3AEAnswerTask(pretrained, loss=loss, learning_rate=1e-3, fusion_factor=1.0, head_factor=1.0)
    saving = SaveModelDirectory(str(tmp_path / "model"), weights="last")
    fit = trainer(tmp_path, max_epochs=20, callbacks=[saving], check_val_every_n_epoch=20, gradient_clip_val=1.0)
    data = questions()
    fit.fit(task, datamodule=data)
    assert data.answers == ("red", "yes", "green", "blue", "yellow", "purple", "white")
    assert fit.callback_metrics["val/closed"] == 100.0
    assert fit.callback_metrics["val/open"] > 50.0
    whole = (fit.callback_metrics["val/closed"] + fit.callback_metrics["val/open"]) / 2
    assert fit.callback_metrics["val/accuracy"] == pytest.approx(float(whole))
    again = M3AEAnswerTask(str(tmp_path / "model"))
    (scores,) = trainer(tmp_path).validate(again, datamodule=questions(), verbose=False)
    assert scores["val/accuracy"] == pytest.approx(float(fit.callback_metrics["val/accuracy"]))
    assert load_model_directory(tmp_path / "model").model.network.answers == data.answers


def test_unseen_answers_count_as_wrong_and_records_without_one_are_left_out(pretrained, questions, tmp_path):
    task, data = M3AEAnswerTask(pretrained), questions()
    (scores,) = trainer(tmp_path).test(task, datamodule=data, verbose=False)
    assert len(data.records("test")) == 9
    batch = next(iter(data.test_dataloader()))
    found = [number for one in data.test_dataloader() for number in one.answers.tolist()]
    assert len(found) == 9 and found.count(-1) == 1 and found[-1] == -1
    assert batch.to("cpu").answers.tolist() == batch.answers.tolist()
    assert set(scores) == {"test/accuracy", "test/closed", "test/open"}
    # As the released code does, from all splits, and validated on test.
    released = questions(vocabulary_of="all", val_split="test")
    trainer(tmp_path, fast_dev_run=True).fit(M3AEAnswerTask(pretrained), datamodule=released)
    assert "never seen" in released.answers
    assert released.describe()["answers"] == {"number": 8, "of": "all"}


def test_larger_images_are_read_with_interpolated_positions(pretrained, questions, tmp_path):
    task = M3AEAnswerTask(pretrained, image_size=48)
    trainer(tmp_path, fast_dev_run=True).fit(task, datamodule=questions())
    assert task.model.image_encoder.tokens == 10


def test_a_bad_image_is_named(pretrained, questions, tiny_manifest, tmp_path):
    (tiny_manifest.parent / "red_0.png").write_bytes(b"no image")
    with pytest.raises(ImageDecodeError, match=r"Image of record 'red_0.png"):
        trainer(tmp_path, max_epochs=1).fit(M3AEAnswerTask(pretrained), datamodule=questions())


def test_bad_settings_are_told(pretrained, tiny_manifest, tmp_path, questions):
    with pytest.raises(ConfigurationError, match="start_from is missing"):
        M3AEAnswerTask()
    with pytest.raises(ConfigurationError, match="start_from is missing"):
        M3AERankingTask()
    with pytest.raises(ConfigurationError, match="negatives=0: an image needs at least one other text"):
        M3AERankingTask(pretrained, negatives=0)
    with pytest.raises(ConfigurationError, match=r"val_fraction=1\.5: choose a share"):
        questions(val_fraction=1.5)
    data = ManifestDataModule(str(tiny_manifest), val_split="test", num_workers=0)
    with pytest.raises(ConfigurationError, match="The data have no answers: give an AnswerDataModule"):
        trainer(tmp_path, fast_dev_run=True).fit(M3AEAnswerTask(pretrained), datamodule=data)


def test_candidates_are_the_own_text_and_others_that_do_not_belong_to_the_image():
    torch.manual_seed(0)
    image = torch.tensor([0, 0, 1, 2])
    same = image[:, None] == image
    for _ in range(50):
        rows, real = candidate_texts(same, 2)
        assert rows.shape == (4, 3) and rows[:, 0].tolist() == [0, 1, 2, 3]
        for row in range(4):
            others = rows[row, 1:][real[row, 1:]].tolist()
            assert len(others) == len(set(others)) == 2 and not same[row, others].any()
    rows, real = candidate_texts(same, 15)
    assert real.sum(1).tolist() == [3, 3, 4, 4]


def test_ranking_begins_with_matching_learns_and_reranks(model, pretrained, tiny_manifest, tmp_path):
    torch.manual_seed(0)
    task = M3AERankingTask(pretrained, negatives=3, learning_rate=1e-3, fusion_factor=1.0)
    assert torch.equal(task.model.network.ranking.weight, model.network.matching.weight[1:])
    losses = []
    step = task.training_step

    def watched(batch, batch_idx):
        losses.append(step(batch, batch_idx))
        return losses[-1]

    task.training_step = watched
    saving = SaveModelDirectory(str(tmp_path / "model"), weights="last")
    data = ManifestDataModule(str(tiny_manifest), val_split="test", batch_size=8, num_workers=0)
    fit = trainer(tmp_path, max_epochs=20, callbacks=[saving], check_val_every_n_epoch=20, gradient_clip_val=1.0)
    fit.fit(task, datamodule=data)
    losses = [float(loss) for loss in losses]
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    assert "val/mean_recall" in fit.callback_metrics
    assert Reranker.load(tmp_path / "model", "cpu").model.network.heads == ("ranking",)


def test_a_configuration_classifies_from_the_command_line(pretrained, tiny_manifest, tmp_path):
    """The class of a record takes the place of an answer; the best weights are chosen by accuracy."""
    lines = [json.loads(line) for line in tiny_manifest.read_text().splitlines()]
    rows = [
        {"image": line["image"], "patient": line["image"], "clinical_notes": "a square", "finding": line["label"]}
        for line in lines
    ]
    rows = [{**row, "split": line["split"]} for row, line in zip(rows, lines, strict=True)]
    manifest = tiny_manifest.parent / "data.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = f"""
model:
  class_path: M3AEAnswerTask
  init_args: {{start_from: {pretrained}, loss: softmax, head_factor: 10.0}}
data:
  class_path: AnswerDataModule
  init_args:
    manifest: {manifest}
    reader: medical/covid_cxr
    label: finding
    val_split: test
    batch_size: 4
    num_workers: 0
trainer:
  accelerator: cpu
  max_epochs: 1
  enable_progress_bar: false
  default_root_dir: {tmp_path / "run"}
  callbacks:
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args: {{monitor: val/accuracy, mode: max}}
"""
    (tmp_path / "config.yaml").write_text(config)
    assert main(["fit", "-c", str(tmp_path / "config.yaml")]) == 0
    loaded = load_model_directory(tmp_path / "run" / "model")
    assert loaded.model.network.answers == ("red", "green", "blue", "yellow", "purple", "white")
    assert set(loaded.card.scores["val"]) == {"accuracy"}
