import json
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from small_towers import small_data, small_task, small_trainer

from vlcore.cli.main import main
from vlcore.errors import CheckpointError, NonFiniteGradientsError
from vlcore.tasks.exact_resume import seed_step
from vlcore.tasks.finite_gradients import FiniteGradients
from vlcore.tasks.replay import replay
from vlcore.tasks.step_capture import read_capture

PROGRAM = Path(__file__).with_name("bad_gradients.py")
LEARNS = {"image_trainable": "all", "text_trainable": "all"}


class Poison(Callback):
    """Makes one value bad in one step, and notes the weights before that step and the steps taken."""

    def __init__(self, where, step, value=float("nan")):
        self.where, self.step, self.value, self.taken = where, step, value, 0
        self.before = None

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            self.before = {name: value.clone() for name, value in pl_module.state_dict().items()}
            if self.where == "features":
                batch.image_features[1] = self.value

    def on_before_backward(self, trainer, pl_module, loss):
        if trainer.global_step == self.step and self.where == "gradient":
            weight = next(pl_module.model.image_head.parameters())
            weight.register_hook(lambda gradient: gradient * self.value)

    def on_train_batch_end(self, trainer, *rest):
        self.taken = trainer.global_step


def stopped(manifest, folder, poison, task=None, data=None, **options):
    task = small_task(**LEARNS) if task is None else task
    data = small_data(manifest, batch_size=4) if data is None else data
    with pytest.raises(NonFiniteGradientsError) as error:
        small_trainer(folder, callbacks=[poison], **options).fit(task, datamodule=data)
    return str(error.value), task


def read_late(monkeypatch):
    """Read flags as on an accelerator: in a step that of the step before."""
    read = FiniteGradients._read

    def late(self, trainer, task, leave=None):
        read(self, trainer, task, 1 if leave is not None else 0)

    monkeypatch.setattr(FiniteGradients, "_read", late)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("options", [{}, {"gradient_clip_val": 1.0}, {"precision": "bf16-mixed"}])
def test_a_bad_gradient_stops_the_run_before_its_step(tiny_manifest, tmp_path, value, options):
    poison = Poison("gradient", 3, value)
    message, task = stopped(tiny_manifest, tmp_path, poison, **options)
    assert poison.taken == 3
    after = task.state_dict()
    assert all(torch.equal(after[name], value) for name, value in poison.before.items())
    assert "Step 3 (batch 3 of epoch 0)" in message
    assert f"vlcore replay {tmp_path}/captures/step_00000003" in message


def test_a_fused_optimiser_leaves_bad_steps_out_until_the_host_knows(tiny_manifest, tmp_path, monkeypatch):
    """As on an accelerator: the flag is read one step late; neither weights nor moments may move until then."""
    read_late(monkeypatch)
    seen = []

    class Moments(Callback):
        def on_train_batch_end(self, trainer, pl_module, *rest):
            optimizer = trainer.optimizers[0]
            state = [value.clone() for entry in optimizer.state.values() for value in entry.values()]
            seen.append([*(value.clone() for value in pl_module.state_dict().values()), *state])

    poison = Poison("gradient", 1)
    with pytest.raises(NonFiniteGradientsError, match="Step 1 "):
        small_trainer(tmp_path, callbacks=[poison, Moments()]).fit(
            small_task(**LEARNS), datamodule=small_data(tiny_manifest, batch_size=4)
        )
    assert len(seen) == 2
    assert all(map(torch.equal, seen[0], seen[1]))


def test_bad_features_are_found_by_row(tiny_manifest, tmp_path, capsys):
    stopped(tiny_manifest, tmp_path, Poison("features", 2), task=small_task())
    folder = tmp_path / "captures" / "step_00000002"
    found = replay(folder)
    image = int(read_capture(folder).batches[0].pairs.image_index[1])
    assert found.reproduced
    assert found.inputs == [f"image_features of row 1 (image {image}; process 0, batch 2)"]
    assert found.embeddings == ["image of row 1 (process 0, batch 2)"]
    assert found.first_module is not None and found.first_module.startswith("image_head")
    assert found.weights == []
    assert found.gradients
    assert main(["replay", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "image_features of row 1" in shown and "first line that is not 'all finite'" in shown


def test_a_capture_is_the_step_to_the_bit(tiny_manifest, tmp_path):
    """With dropout, micro-batches and accumulation: the gradients are those the run had."""
    gradients = {}

    class Note(Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            if trainer.global_step == 1:
                gradients.update(
                    {name: value.grad.clone() for name, value in pl_module.named_parameters() if value.grad is not None}
                )
                optimizer.param_groups[0]["params"][0].grad[:] = float("nan")

    options = {**LEARNS, "image_head": "residual_mlp", "text_head": "residual_mlp", "micro_batch_size": 2}
    with pytest.raises(NonFiniteGradientsError, match=r"\(batch 2 of epoch 0, batch 3 of epoch 0\)"):
        small_trainer(tmp_path, callbacks=[Note()], accumulate_grad_batches=2).fit(
            small_task(**options), datamodule=small_data(tiny_manifest, batch_size=4)
        )
    task = small_task(**options)
    found = replay(tmp_path / "captures" / "step_00000001", task)
    assert not found.reproduced
    again = {name: value.grad for name, value in task.named_parameters() if value.grad is not None}
    assert again.keys() == gradients.keys()
    # Lightning divides each accumulated loss by their number.
    assert all(torch.equal(again[name] / 2, gradients[name]) for name in again)


def test_a_bad_weight_is_named(tiny_manifest, tmp_path):
    stopped(tiny_manifest, tmp_path, Poison("features", 1), task=small_task())
    path = tmp_path / "captures" / "step_00000001" / "step.pt"
    step = torch.load(path, weights_only=True)
    step["checkpoint"]["state_dict"]["model.logit_scale"][:] = float("inf")
    torch.save(step, path)
    assert replay(path.parent).weights == ["logit_scale"]


def test_a_finite_run_is_not_changed_by_being_watched(tiny_manifest, tmp_path, monkeypatch):
    def weights():
        task = small_task(**LEARNS)
        small_trainer(tmp_path).fit(task, datamodule=small_data(tiny_manifest, batch_size=4))
        return list(task.state_dict().values())

    watched = weights()
    monkeypatch.setattr(FiniteGradients, "on_before_optimizer_step", lambda *rest: None)
    assert all(map(torch.equal, watched, weights()))
    assert not (tmp_path / "captures").exists()


def test_large_finite_gradients_are_no_reason_to_stop(tiny_manifest, tmp_path):
    """Their sum of squares is infinite in float32, they are not."""
    poison = Poison("gradient", 1, 1e25)
    task = small_task(**LEARNS)
    small_trainer(tmp_path, callbacks=[poison], max_steps=2).fit(task, datamodule=small_data(tiny_manifest))
    assert poison.taken == 2


def test_no_checkpoint_counts_a_step_that_was_not_taken(tiny_manifest, tmp_path, monkeypatch):
    read_late(monkeypatch)

    class Save(Callback):
        def on_train_batch_end(self, trainer, *rest):
            trainer.save_checkpoint(tmp_path / f"{trainer.global_step}.ckpt", weights_only=False)

    poison = Poison("gradient", 2)
    with pytest.raises(NonFiniteGradientsError, match="Step 2 "):
        small_trainer(tmp_path, callbacks=[poison, Save()]).fit(
            small_task(**LEARNS), datamodule=small_data(tiny_manifest, batch_size=4)
        )
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == ["1.ckpt", "2.ckpt"]


def test_two_processes_stop_together_and_are_replayed_in_one(tiny_manifest, tmp_path, run_program):
    run_program(PROGRAM, tiny_manifest, tmp_path)
    # The batch of this process is good; it stops all the same, and before its own step.
    assert "Step 1 (batch 1 of epoch 0)" in json.loads((tmp_path / "stopped_0.json").read_text())
    found = replay(tmp_path / "captures" / "step_00000001")
    assert found.reproduced
    (place,) = found.inputs
    assert place.startswith("image_features of row 0 (image ") and place.endswith("process 1, batch 1)")


@pytest.mark.parametrize("name", ["step.pt", "process_0.pt"])
def test_an_incomplete_capture_is_named(tiny_manifest, tmp_path, name):
    stopped(tiny_manifest, tmp_path, Poison("features", 1), task=small_task())
    folder = tmp_path / "captures" / "step_00000001"
    (folder / name).write_bytes(b"cut off")
    with pytest.raises(CheckpointError, match=f"{name} cannot be read"):
        replay(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"is not the folder of a captured step: {name} is missing"):
        replay(folder)


def test_a_model_from_python_has_to_be_given_again(tiny_manifest, tmp_path):
    model = small_task().model
    from vlcore.tasks.alignment import AlignmentTask

    stopped(tiny_manifest, tmp_path, Poison("features", 1), task=AlignmentTask(model=model))
    folder = tmp_path / "captures" / "step_00000001"
    with pytest.raises(CheckpointError, match="given its model in Python"):
        replay(folder)
    assert replay(folder, AlignmentTask(model=model)).reproduced


def test_seeds_do_not_depend_on_what_was_drawn_before():
    seed_step(5, 1, 2, 0)
    first = torch.rand(3)
    torch.rand(100)
    seed_step(5, 1, 2, 0)
    assert torch.equal(first, torch.rand(3))
