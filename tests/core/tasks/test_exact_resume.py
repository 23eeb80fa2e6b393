import json
import resource
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from small_towers import small_data, small_task, small_trainer

from vlcore.errors import CheckpointError
from vlcore.tasks.checkpoint_files import AtomicCheckpointIO

PROGRAM = Path(__file__).with_name("interrupted_run.py")


@pytest.mark.parametrize(("processes", "runs"), [(1, 14), (2, 3)])
def test_killed_anywhere_and_resumed_it_ends_with_the_weights_of_a_run_that_never_stopped(
    tiny_manifest, tmp_path, processes, runs, run_program
):
    folder = tmp_path / "runs"
    folder.mkdir()
    output = run_program(PROGRAM, tiny_manifest, folder, processes, timeout=240)
    seen = json.loads(output.splitlines()[-1])
    whole = seen.pop("whole")
    assert whole["steps"] == 12
    assert whole["trained"] != whole["averaged"]
    assert len(seen) == runs - 1
    assert {name: found for name, found in seen.items() if found != whole} == {}
    # What a killed writer leaves behind is no checkpoint.
    assert all(AtomicCheckpointIO().load_checkpoint(path) for path in folder.rglob("*.ckpt"))


class SaveAt(Callback):
    """A checkpoint at a hook of a step; "batch" is in the middle of one, as the handler of a signal may be."""

    def __init__(self, path, hook, step):
        self.path, self.hook, self.step = path, hook, step

    def _at(self, hook, trainer, batch):
        if (hook, batch) == (self.hook, self.step) and trainer.current_epoch == 0:
            trainer.save_checkpoint(self.path, weights_only=False)

    def on_before_zero_grad(self, trainer, *rest):
        self._at("in step", trainer, trainer.fit_loop.batch_idx)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self._at("after batch", trainer, batch_idx)


def saved(manifest, folder, hook="after batch", step=1, **options):
    path = folder / "saved.ckpt"
    small_trainer(folder, callbacks=[SaveAt(path, hook, step)], **options).fit(
        small_task(), datamodule=small_data(manifest, batch_size=4)
    )
    return path


def resume(manifest, folder, path, **options):
    small_trainer(folder, **options).fit(small_task(), datamodule=small_data(manifest, batch_size=4), ckpt_path=path)


def change(path, edit):
    checkpoint = torch.load(path, weights_only=True)
    edit(checkpoint)
    torch.save(checkpoint, path)


def test_a_checkpoint_from_the_middle_of_a_step_is_refused(tiny_manifest, tmp_path):
    path = saved(tiny_manifest, tmp_path, "in step", 1)
    with pytest.raises(CheckpointError, match=r"in the middle of step 2 of an epoch.*every_n_train_steps"):
        resume(tiny_manifest, tmp_path, path)


def test_a_checkpoint_from_between_accumulated_batches_is_refused(tiny_manifest, tmp_path):
    path = saved(tiny_manifest, tmp_path, "after batch", 2, accumulate_grad_batches=2)
    with pytest.raises(CheckpointError, match="after 3 batches, between two of the 2 that make one step"):
        resume(tiny_manifest, tmp_path, path, accumulate_grad_batches=2)
    whole = saved(tiny_manifest, tmp_path, "after batch", 1, accumulate_grad_batches=2)
    resume(tiny_manifest, tmp_path, whole, accumulate_grad_batches=2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accumulate_grad_batches": 2}, "trainer.accumulate_grad_batches was 1 .* is 2 now. Resume it with 1"),
        ({"precision": "bf16-mixed"}, "trainer.precision was '32-true' .* is 'bf16-mixed' now"),
    ],
)
def test_other_settings_are_refused(tiny_manifest, tmp_path, options, words):
    path = saved(tiny_manifest, tmp_path)
    with pytest.raises(CheckpointError, match=words):
        resume(tiny_manifest, tmp_path, path, **options)


def test_another_number_of_processes_is_refused(tiny_manifest, tmp_path):
    path = saved(tiny_manifest, tmp_path)
    change(path, lambda checkpoint: checkpoint["exact_resume"].update(processes=4))
    with pytest.raises(CheckpointError, match=r"number of processes was 4 .* is 1 now"):
        resume(tiny_manifest, tmp_path, path)


def test_a_loader_that_did_not_say_where_it_stood_is_refused_in_mid_epoch_only(tiny_manifest, tmp_path):
    def forget(checkpoint):
        checkpoint["loops"]["fit_loop"]["state_dict"]["combined_loader"] = []

    middle = saved(tiny_manifest, tmp_path)
    change(middle, forget)
    with pytest.raises(CheckpointError, match="after 2 batches of an epoch, and its data loader did not say"):
        resume(tiny_manifest, tmp_path, middle)
    end = saved(tiny_manifest, tmp_path, step=3)
    change(end, forget)
    resume(tiny_manifest, tmp_path, end)


def test_a_checkpoint_of_something_else_is_refused(tiny_manifest, tmp_path):
    path = saved(tiny_manifest, tmp_path)
    change(path, lambda checkpoint: checkpoint.pop("exact_resume"))
    with pytest.raises(CheckpointError, match="without vlcore's place in the run"):
        resume(tiny_manifest, tmp_path, path)


def test_validating_a_checkpoint_asks_for_none_of_that(tiny_manifest, tmp_path):
    path = saved(tiny_manifest, tmp_path, "in step", 1)
    trainer = small_trainer(tmp_path)
    trainer.validate(small_task(), datamodule=small_data(tiny_manifest), ckpt_path=path)
    assert "val/mean_recall" in trainer.callback_metrics


def test_no_two_processes_steps_or_seeds_draw_alike():
    from vlcore.tasks.exact_resume import seed_step

    drawn = set()
    for seed in (0, 1, 2**63):
        for epoch in range(2):
            for batch in range(2):
                for process in range(2):
                    seed_step(seed, epoch, batch, process)
                    drawn.add(float(torch.rand(())))
    assert len(drawn) == 24


# Files


def test_a_full_disk_leaves_the_checkpoint_that_was_there(tiny_manifest, tmp_path):
    """The system refuses to let the file grow in the middle of the writing, as a full disk does."""
    path = tmp_path / "x.ckpt"
    files = AtomicCheckpointIO()
    files.save_checkpoint({"step": torch.tensor(1)}, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=r"x.ckpt cannot be written: .* is unharmed.*--ckpt_path last"):
            files.save_checkpoint({"step": torch.tensor(2), "weights": torch.zeros(1_000_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files.load_checkpoint(path) == {"step": torch.tensor(1)}
    assert [file.name for file in tmp_path.glob("*ckpt*")] == ["x.ckpt"]
    assert not list(tmp_path.glob(".*"))


def test_a_run_on_a_full_disk_stops_and_goes_on_later(tiny_manifest, tmp_path, monkeypatch):
    def fit(resume=None):
        trainer = small_trainer(
            tmp_path,
            callbacks=[ModelCheckpoint(tmp_path / "kept", every_n_train_steps=1, save_last=True)],
            enable_checkpointing=True,
        )
        task = small_task()
        trainer.fit(task, datamodule=small_data(tiny_manifest, batch_size=4), ckpt_path=resume)
        return [value.clone() for value in task.state_dict().values()]

    whole = fit()
    for path in (tmp_path / "kept").iterdir():
        path.unlink()
    real, calls = torch.save, []

    def full(what, place):
        calls.append(place)
        real(what, place)
        if len(calls) == 6:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match=r"No space left on device. .*the run has stopped"):
        fit()
    monkeypatch.undo()
    import small_towers

    small_towers.register()
    resumed = fit(tmp_path / "kept" / "last.ckpt")
    assert all(map(torch.equal, whole, resumed))


class Arbitrary:
    """Reading this from a pickle would run code."""


def damage(path, content):
    if content is None:
        path.write_bytes(path.read_bytes()[:500])
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("content", [None, b"", b"hello", b"\x80\x02}q\x00."])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "x.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": torch.zeros(100)}, path)
    damage(path, content)
    with pytest.raises(CheckpointError, match=r"x.ckpt cannot be read: it was cut off, or is no checkpoint"):
        AtomicCheckpointIO().load_checkpoint(path)


def test_a_checkpoint_that_would_run_code_is_refused_even_where_the_caller_allows_it(tmp_path):
    torch.save({"step": Arbitrary()}, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match=r"holds a .*Arbitrary, and reading that would run code"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "x.ckpt", weights_only=False)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"There is no checkpoint .*none.ckpt"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "none.ckpt")
