"""The recipe's step against its parts, its teacher, its schedules, and runs that were interrupted."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from small_rs_m_clip import make_anchored_task, make_task
from small_towers import SmallTextEncoder, small_data, small_task, small_trainer

from vlcore.data.mixture_datamodule import MixtureDataModule
from vlcore.errors import ConfigurationError
from vlcore.hub.model_directory import load_model_directory
from vlcore.objectives.info_nce import InfoNCE
from vlcore.tasks.callbacks import SaveModelDirectory
from vlcore.types import PairBatch
from vlcore_remote_sensing.objectives.self_distillation import SelfDistillation

pytestmark = pytest.mark.usefixtures("small_towers")


def batch(device="cpu"):
    generator = torch.Generator().manual_seed(0)
    ids = torch.arange(30).view(5, 6) % 19
    return PairBatch(
        torch.arange(5),
        torch.arange(5),
        images=torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=generator),
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        text_lengths=(6,) * 5,
    ).to(device)


def alone(task, logged=None):
    """A task outside a run."""
    task.log = lambda name, value, **options: None if logged is None else logged.__setitem__(name, value)
    facts = {"world_size": 1, "current_epoch": 0, "global_step": 0, "precision_plugin": None}
    task._trainer = type("Trainer", (), facts)()
    task._fabric = None
    return task.train()


def test_the_loss_is_the_mean_contrast_of_all_views_and_the_distillation_between_them():
    logged = {}
    task = alone(make_task(distillation_weight=0.7, teacher_temperature=0.06), logged)
    for parameter in task.teacher.parameters():
        parameter.data.add_(0.1)  # a teacher that differs
    task.distillation.centre.fill_(0.2)
    pairs = batch()
    torch.manual_seed(1)
    views = task.crops(pairs.images)
    torch.manual_seed(1)
    loss = task.training_step(pairs, 0)
    contrasts = []
    for whole in views.whole:
        output = task.model(PairBatch(**{**vars(pairs), "images": whole}))
        logits = output.logit_scale * output.image @ output.text.T
        both = [torch.nn.functional.cross_entropy(side, torch.arange(5)) for side in (logits, logits.T)]
        contrasts.append(sum(both) / 2)
    contrast = sum(contrasts) / 2
    tower, teacher = task.model.image_encoder, task.teacher.model
    small = copy.copy(tower)
    small.preprocess = type(tower.preprocess)(size=(4, 4), resize="squash")
    student = [task.head(tower(view).pooled) for view in views.whole]
    student = torch.stack(student + [task.head(small(view).pooled) for view in views.local])
    said = torch.stack([teacher.head(teacher.encoder(view).pooled) for view in views.whole])
    reference = SelfDistillation(12, teacher_temperature=0.06)
    reference.centre.fill_(0.2)
    distilled = reference(student, said)
    assert float(loss) == pytest.approx(float(contrast + 0.7 * distilled), rel=1e-5)
    assert float(logged["train/loss"]) == pytest.approx(float(contrast), rel=1e-5)
    assert float(logged["train/self_distillation"]) == pytest.approx(float(distilled), rel=1e-5)
    assert float(logged["train/total_loss"]) == pytest.approx(float(loss), rel=1e-6)
    reference.update_centre(said)
    assert torch.allclose(task.distillation.centre, reference.centre)


def test_texts_pass_once_and_captions_that_say_the_same_are_no_negatives(monkeypatch):
    task = alone(make_task())
    before = SmallTextEncoder.calls
    same = PairBatch(**{**vars(batch()), "text_key": torch.zeros(5, dtype=torch.long)})
    seen = []
    monkeypatch.setattr(InfoNCE, "forward", lambda self, *rows, **keys: seen.append(keys) or rows[0].sum() * 0)
    task.training_step(same, 0)
    assert SmallTextEncoder.calls == before + 1
    assert len(seen) == 2 and all(not keys["text_key"].any() for keys in seen)


def test_without_distillation_and_with_whole_views_it_is_the_alignment_task():
    task = alone(make_task(distillation_weight=0.0, global_scale=(1.0, 1.0), mirror=0.0))
    plain = alone(small_task(image_trainable="all", text_trainable="all"))
    plain.model.load_state_dict(task.model.state_dict())
    found, expected = task.training_step(batch(), 0), plain.training_step(batch(), 0)
    assert torch.allclose(found, expected)
    found.backward()
    expected.backward()
    for (name, ours), theirs in zip(task.model.named_parameters(), plain.model.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-6), name
    assert all(name.startswith("model.") for name in task.state_dict())


def test_gradients_reach_tower_and_head_and_never_the_teacher_or_the_base():
    task = alone(make_anchored_task(anchor="squared_distance"))
    task.training_step(batch(), 0).backward()
    assert all(parameter.grad is not None for parameter in (*task.model.parameters(), *task.head.parameters()))
    copies = [*task.teacher.parameters(), *task.base.parameters()]
    assert copies and all(parameter.grad is None and not parameter.requires_grad for parameter in copies)


@pytest.mark.parametrize("anchor", ["squared_distance", "similarity_divergence"])
def test_the_anchor_is_nothing_at_the_start_and_grows_with_the_way_from_it(anchor):
    logged = {}
    task = alone(make_anchored_task(anchor=anchor, anchor_weight=2.0), logged)
    task.training_step(batch(), 0)
    assert float(logged["train/anchor"]) == pytest.approx(0.0, abs=1e-5)
    with torch.no_grad():
        for parameter in task.model.image_encoder.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.5)
    total = task.training_step(batch(), 0)
    assert float(logged["train/anchor"]) > 0.01
    parts = float(logged["train/loss"] + logged["train/self_distillation"] + 2.0 * logged["train/anchor"])
    assert float(total) == pytest.approx(parts, rel=1e-5)


class Watch(Callback):
    """Weights of student and teacher before the first and after every step."""

    def __init__(self):
        self.student, self.teacher, self.last_layer, self.momenta = [], [], [], []

    def on_train_batch_start(self, trainer, task, *rest):
        if not self.student:
            self._note(task)

    def on_train_batch_end(self, trainer, task, *rest):
        self._note(task)

    def _note(self, task):
        self.student.append(task.model.image_encoder.second.weight.detach().clone())
        self.teacher.append(task.teacher.model.encoder.second.weight.clone())
        self.last_layer.append(task.head.directions.detach().clone())
        self.momenta.append(task.teacher.momentum)


def run(task, manifest, folder, **options):
    watch = Watch()
    small_trainer(folder, callbacks=[watch], **options).fit(task, datamodule=small_data(manifest, batch_size=4))
    return watch


def test_the_teacher_is_the_moving_average_of_the_student(tiny_manifest, tmp_path):
    watch = run(make_task(), tiny_manifest, tmp_path)
    average = watch.student[0]
    assert torch.equal(watch.teacher[0], average)
    for student, teacher in zip(watch.student[1:], watch.teacher[1:], strict=True):
        average = 0.9 * average + 0.1 * student
        assert torch.allclose(teacher, average, atol=1e-6)
    assert not torch.allclose(watch.teacher[-1], watch.teacher[0]) and set(watch.momenta) == {0.9}


def test_the_momentum_goes_to_one_by_a_cosine(tiny_manifest, tmp_path):
    watch = run(make_task(teacher_momentum_schedule="cosine"), tiny_manifest, tmp_path)
    steps = len(watch.momenta) - 1
    expected = [1 - 0.1 * (1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)]
    assert watch.momenta[1:] == pytest.approx(expected) and watch.momenta[-1] > 0.99


def test_the_last_layer_is_held_in_the_first_epoch(tiny_manifest, tmp_path):
    watch = run(make_task(), tiny_manifest, tmp_path)
    steps = (len(watch.last_layer) - 1) // 2
    assert all(torch.equal(value, watch.last_layer[0]) for value in watch.last_layer[: steps + 1])
    assert not torch.equal(watch.last_layer[-1], watch.last_layer[0])


def test_the_head_learns_at_its_own_rate(tiny_manifest, tmp_path):
    task = make_task(head_learning_rate=0.3)
    run(task, tiny_manifest, tmp_path, max_epochs=1)
    rates = {id(p): group["initial_lr"] for group in task.optimizers().param_groups for p in group["params"]}
    assert {rates[id(p)] for p in task.head.parameters()} == {0.3}
    assert {rates[id(p)] for p in task.model.parameters()} == {0.02}


def test_it_learns_and_writes_an_ordinary_model(tiny_manifest, tmp_path):
    task = make_task(local_scale=(0.2, 0.4))
    trainer = small_trainer(tmp_path, max_epochs=30, callbacks=[SaveModelDirectory(weights="last")])
    trainer.fit(task, datamodule=small_data(tiny_manifest))
    assert float(trainer.callback_metrics["val/mean_recall"]) > 70
    loaded = load_model_directory(tmp_path / "model")
    assert loaded.card.training["task"] == "RSMClipTask" and loaded.card.training["local_views"] == 2
    for name, value in task.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], value), name


def test_small_tiles_raise_the_least_view(tiny_manifest, tmp_path):
    task = make_task(least_local_pixels=20)
    run(task, tiny_manifest, tmp_path, max_epochs=1)
    assert task.crops.local_scale == (0.25, 0.4)  # tiles of 56 x 40 pixels
    with pytest.raises(ConfigurationError, match="The smallest tile has 40 pixels"):
        run(make_task(least_local_pixels=40), tiny_manifest, tmp_path, max_epochs=1)


@pytest.mark.parametrize("optimizer", ["multi_task_adamw", "lion"])
def test_a_mixture_trains_with_every_optimiser(optimizer, tiny_manifest, tmp_path):
    task = make_task(optimizer=optimizer, last_layer_held_epochs=0)
    before = {name: value.clone() for name, value in task.state_dict().items()}
    data = MixtureDataModule({name: small_data(tiny_manifest, batch_size=4) for name in ("first", "second")})
    small_trainer(tmp_path, max_epochs=1).fit(task, datamodule=data)
    for name in ("head.directions", "model.image_encoder.second.weight", "teacher.model.head.directions"):
        value = task.state_dict()[name]
        assert torch.isfinite(value).all() and not torch.equal(value, before[name]), name


def test_interrupted_runs_end_with_the_same_weights(tiny_manifest, tmp_path, run_program):
    """Killed at several places; teacher, centre, head and base are part of what is compared."""
    program = Path(__file__).with_name("interrupted_rs_m_clip.py")
    found = json.loads(run_program(program, tiny_manifest, tmp_path).splitlines()[-1])
    whole = found.pop("whole")
    assert len(found) == 4
    assert all(digest == whole for digest in found.values()), found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_trainable": "none"}, "image_trainable='none': self-distillation teaches the image tower"),
        ({"distillation_weight": -1.0}, "distillation_weight=-1.0: choose 0 or more"),
        ({"anchor_weight": math.nan}, "anchor_weight=nan"),
        ({"teacher_momentum": 1.0}, "teacher_momentum=1.0: choose 0 to below 1"),
        ({"micro_batch_size": 2}, "micro_batch_size and micro_batch_tokens cut the contrastive batch only"),
        ({"compile": True}, "compile: views of several sizes"),
        ({"anchor": "squared_distance"}, "single towers begin with untrained heads"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        make_task(**options)


def test_an_endless_run_has_no_cosine(tiny_manifest, tmp_path):
    task = make_task(teacher_momentum_schedule="cosine", schedule="constant", warmup=0)
    with pytest.raises(ConfigurationError, match="The run has no end, so teacher_momentum_schedule"):
        run(task, tiny_manifest, tmp_path, max_epochs=-1)


def test_a_batch_of_features_is_refused():
    pairs = PairBatch(torch.arange(2), torch.arange(2), image_features=torch.ones(2, 6))
    with pytest.raises(ConfigurationError, match="The batch has no images to cut views from"):
        alone(make_task()).training_step(pairs, 0)


def test_a_step_on_an_accelerator_reads_no_value_back():
    from torch._subclasses.fake_tensor import FakeTensorMode

    task = alone(make_anchored_task(anchor="similarity_divergence"))
    with FakeTensorMode(allow_non_fake_inputs=True):
        fake = {name: torch.empty_like(value, device="cuda") for name, value in task.state_dict().items()}
        task.load_state_dict(fake, assign=True)
        loss = task.training_step(batch("cuda"), 0)
        assert loss.device.type == "cuda" and loss.requires_grad


def test_half_precision_trains(tiny_manifest, tmp_path):
    watch = run(make_task(), tiny_manifest, tmp_path, max_epochs=1, precision="bf16-mixed")
    assert torch.isfinite(watch.student[-1]).all() and not torch.equal(watch.student[0], watch.student[-1])


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed training")
def test_two_processes_keep_one_state_and_cut_their_own_views(tiny_manifest, tmp_path, run_program):
    run_program(Path(__file__).with_name("two_process_rs_m_clip.py"), tiny_manifest, tmp_path)
    first, second = ((tmp_path / f"{rank}.txt").read_text().split() for rank in range(2))
    assert first[0] == second[0]
    assert first[1] != second[1]


@pytest.mark.parametrize("family", ["open_clip", "transformers"])
def test_a_clip_learns_from_small_views_too(family, tmp_path):
    from small_clip import save_clip, save_open_clip

    if family == "open_clip":
        pytest.importorskip("open_clip", reason='needs pip install "vlcore[open_clip]"')
    folder = (save_open_clip if family == "open_clip" else save_clip)(tmp_path / family)
    towers = {"image_encoder": None, "text_encoder": None, "image_head": None, "text_head": None}
    task = make_task(**towers, dual_encoder=f"{family}/{folder}", local_size=16, anchor="squared_distance")
    alone(task)
    ids = task.model.text_encoder.tokenizer(["a red square", "everything here is blue", "a white square"])
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    keys = torch.arange(3)
    pairs = PairBatch(keys, keys, images=images, input_ids=ids.input_ids, attention_mask=ids.attention_mask)
    task.training_step(pairs, 0).backward()
    learned = dict(task.model.image_encoder.named_parameters())
    assert all(value.grad is not None and torch.isfinite(value.grad).all() for value in learned.values())
    assert next(value for name, value in learned.items() if "position" in name).grad.abs().sum() > 0
