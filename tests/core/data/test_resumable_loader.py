import json
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from torchvision.transforms import v2

from vlcore.data.batch_order import PairOrder
from vlcore.data.pairs import PairTable
from vlcore.data.resumable_loader import ResumableLoader
from vlcore.errors import CheckpointError

PAIRS = 23
PROGRAM = Path(__file__).with_name("two_process_loader.py")


def table(pairs=PAIRS):
    numbers = np.arange(pairs, dtype=np.int64)
    return PairTable([str(number) for number in numbers], [], [""] * pairs, numbers, numbers)


def as_list(draw):
    return draw.epoch, draw.pairs.tolist()


def loader(workers=0, **options):
    order = PairOrder(table(), **{"batch_size": 4, "shuffle": True, **options})
    return ResumableLoader(order, as_list, num_workers=workers)


def expected(epoch):
    order = PairOrder(table(), 4, shuffle=True)
    return [(epoch, batch.tolist()) for batch in order.batches(epoch)]


# The loader alone


@pytest.mark.parametrize("workers", [0, 2])
def test_it_goes_on_at_the_very_next_batch_wherever_it_was_left(workers):
    source = loader(workers)
    source.set_epoch(2)
    reading = iter(source)
    states = [source.state_dict()]
    for batch in expected(2):
        assert next(reading) == batch
        # Workers have prepared more than this; what counts is what was handed out.
        states.append(source.state_dict())
    assert next(reading, None) is None
    assert [state["batches_done"] for state in states] == [0, 1, 2, 3, 4, 5]
    resumed = loader(workers)
    for done, state in enumerate(states):
        resumed.load_state_dict(json.loads(json.dumps(state)))
        resumed.set_epoch(2)
        assert list(resumed) == expected(2)[done:]
        resumed.set_epoch(3)
        assert list(resumed) == expected(3)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_that_was_broken_off_leaves_nothing_behind(workers):
    source = loader(workers)
    reading = iter(source)
    next(reading), next(reading)
    source.set_epoch(1)
    assert list(source) == expected(1)
    # An evaluation reads the same epoch again and again.
    assert list(source) == expected(1)


def test_the_state_between_two_epochs_is_the_start_of_the_second():
    source = loader()
    list(source)
    assert source.state_dict()["batches_done"] == len(source) == 5
    source.set_epoch(1)
    state = source.state_dict()
    assert (state["epoch"], state["batches_done"]) == (1, 0)
    resumed = loader()
    resumed.load_state_dict(state)
    resumed.set_epoch(1)
    assert list(resumed) == expected(1)


def test_a_state_of_the_end_of_an_epoch_starts_the_next_one_whole():
    source = loader()
    list(source)
    resumed = loader()
    resumed.load_state_dict(source.state_dict())
    # Lightning asks for an iterator before it says which epoch comes.
    reading = iter(resumed)
    resumed.set_epoch(1)
    assert list(reading) == expected(1)


def test_the_generators_of_the_process_are_left_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    list(loader())
    list(loader(workers=1))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 5}, "batch size was 4 .* is 5 now"),
        ({"seed": 7}, "seed was 0 .* is 7 now"),
        ({"world_size": 2}, "number of processes was 1 .* is 2 now"),
        ({"captions": "sample"}, "captions was 'all' .* is 'sample' now"),
        ({"arrangement": "blocks"}, "arrangement was 'rows' .* is 'blocks' now"),
    ],
)
def test_what_would_give_other_batches_is_refused(change, words):
    state = loader().state_dict()
    with pytest.raises(CheckpointError, match=f"cannot go on exactly: the {words}.*Resume it with the settings"):
        loader(**change).load_state_dict(state)


def test_other_data_and_other_loaders_are_refused():
    state = loader().state_dict()
    order = PairOrder(table(PAIRS + 1), 4, shuffle=True)
    with pytest.raises(CheckpointError, match="the content of the pairs was"):
        ResumableLoader(order, as_list).load_state_dict(state)
    with pytest.raises(CheckpointError, match=r"another data loader \(its state has \['_snapshot'\]\)"):
        loader().load_state_dict({"_snapshot": 1})


# With Lightning


class Log(Callback):
    """What every step saw, and checkpoints at every place where one may be written."""

    def __init__(self, folder=None):
        self.steps, self.folder, self.saved = [], folder, []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        flat = batch.images.double().flatten(1)
        pixels = (flat @ torch.arange(flat.shape[1], dtype=torch.float64)).tolist()
        self.steps.append((trainer.current_epoch, batch_idx, batch.text_key.tolist(), pixels))

    def _save(self, trainer, place):
        if self.folder is not None and not trainer.sanity_checking:
            path = self.folder / f"{trainer.global_step:02d}_{place}.ckpt"
            trainer.save_checkpoint(path, weights_only=False)
            self.saved.append((path, trainer.global_step))

    def on_train_batch_end(self, trainer, *rest):
        self._save(trainer, "batch")

    def on_validation_end(self, trainer, pl_module):
        self._save(trainer, "validation")

    def on_train_epoch_end(self, trainer, pl_module):
        self._save(trainer, "epoch")


AUGMENT = [v2.RandomHorizontalFlip(), v2.RandomResizedCrop(8, scale=(0.5, 1.0)), v2.ColorJitter(0.4)]


def run(small, manifest, folder, log, *, resume=None, data=None, **options):
    task = small.small_task(image_trainable="all", text_trainable="all", learning_rate=0.01)
    settings = {"batch_size": 2, "captions": "sample", "augment": AUGMENT, **(data or {})}
    trainer = small.small_trainer(folder, **{"max_epochs": 3, "callbacks": [log], **options})
    trainer.fit(task, datamodule=small.small_data(manifest, **settings), ckpt_path=resume)
    return {name: value.clone() for name, value in task.state_dict().items()}


@pytest.fixture
def whole(small, tiny_manifest, tmp_path):
    """An uninterrupted run: what it saw, its checkpoints, and its weights."""
    log = Log(tmp_path)
    return log, run(small, tiny_manifest, tmp_path, log)


def test_a_resumed_run_sees_the_same_batches_and_ends_with_the_same_weights(small, tiny_manifest, tmp_path, whole):
    log, weights = whole
    assert len(log.steps) == 12 and len({tuple(step[2]) for step in log.steps}) > 8
    # Augmentation differs from epoch to epoch; white images may come out all white twice.
    assert len({pixel for step in log.steps for pixel in step[3]}) > 20
    assert len(log.saved) == 12 + 3 + 3
    for number, (path, steps) in enumerate(log.saved):
        # Where a run is left, how many workers there are and what the generators stand at makes no difference.
        torch.manual_seed(number)
        np.random.seed(number)
        workers = 2 if path.name in ("06_batch.ckpt", "08_validation.ckpt") else 0
        again = Log()
        found = run(small, tiny_manifest, tmp_path, again, resume=path, data={"num_workers": workers})
        assert again.steps == log.steps[steps:], path.name
        for name, value in weights.items():
            assert torch.equal(value, found[name]), (path.name, name)


def test_a_checkpoint_of_a_run_with_workers_counts_what_was_trained_on(small, tiny_manifest, tmp_path, whole):
    log, weights = whole
    parallel = Log(tmp_path / "parallel")
    found = run(small, tiny_manifest, tmp_path, parallel, data={"num_workers": 2})
    assert parallel.steps == log.steps
    assert all(torch.equal(value, found[name]) for name, value in weights.items())
    stored = torch.load(tmp_path / "parallel" / "06_batch.ckpt", weights_only=True)
    assert stored["loops"]["fit_loop"]["state_dict"]["combined_loader"][0]["batches_done"] == 2
    again = Log()
    found = run(small, tiny_manifest, tmp_path, again, resume=tmp_path / "parallel" / "06_batch.ckpt")
    assert again.steps == log.steps[6:]
    assert all(torch.equal(value, found[name]) for name, value in weights.items())


def test_epochs_that_are_cut_short_and_validation_within_them_change_nothing(small, tiny_manifest, tmp_path):
    options = {"limit_train_batches": 3, "val_check_interval": 2, "limit_val_batches": 1, "num_sanity_val_steps": 1}
    log = Log(tmp_path)
    weights = run(small, tiny_manifest, tmp_path, log, **options)
    assert [step[:2] for step in log.steps] == [(epoch, batch) for epoch in range(3) for batch in range(3)]
    for path, steps in log.saved:
        again = Log()
        found = run(small, tiny_manifest, tmp_path, again, resume=path, **options)
        assert again.steps == log.steps[steps:], path.name
        assert all(torch.equal(value, found[name]) for name, value in weights.items()), path.name


def test_a_run_with_other_settings_or_data_is_refused(small, tiny_manifest, tmp_path, whole):
    path = tmp_path / "06_batch.ckpt"
    for change, words in (
        ({"batch_size": 4}, "batch size was 2 .* is 4 now"),
        ({"seed": 1}, "seed was 0 .* is 1 now"),
        ({"captions": "all"}, "captions was 'sample'"),
        ({"order": "rows"}, "arrangement was 'lengths' .* is 'rows'"),
    ):
        with pytest.raises(CheckpointError, match=words):
            run(small, tiny_manifest, tmp_path, Log(), resume=path, data=change)
    changed = tiny_manifest.read_text().replace("a red square", "the red square", 1)
    tiny_manifest.write_text(changed)
    with pytest.raises(CheckpointError, match="content of the pairs was"):
        run(small, tiny_manifest, tmp_path, Log(), resume=path)


def test_a_run_that_is_to_overfit_reads_the_same_batches_in_every_epoch(small, tiny_manifest, tmp_path):
    log = Log()
    run(small, tiny_manifest, tmp_path, log, overfit_batches=2, data={"augment": None})
    epochs = [[step[2:] for step in log.steps if step[0] == epoch] for epoch in range(3)]
    assert len(epochs[0]) == 2
    assert epochs[0] == epochs[1] == epochs[2]


def test_two_processes_share_each_batch_and_resume_in_the_middle_of_an_epoch(tiny_manifest, tmp_path, run_program):
    output = run_program(PROGRAM, tiny_manifest, tmp_path, PYTHONPATH=str(PROGRAM.parents[1] / "tasks"))
    seen = {
        name: [json.loads((tmp_path / f"{name}_{rank}.json").read_text()) for rank in (0, 1)]
        for name in ("whole", "rest")
    }
    first, second = seen["whole"]
    # 16 pairs, 2 processes, 3 pairs each: 2 steps an epoch, every pair read by one process only.
    assert len(first["steps"]) == len(second["steps"]) == 6
    for epoch in range(3):
        pairs = [pair for rank in seen["whole"] for step in rank["steps"][2 * epoch : 2 * epoch + 2] for pair in step]
        assert len(pairs) == 12 and len(set(map(tuple, pairs))) == 12
    for before, after in zip(seen["whole"], seen["rest"], strict=True):
        assert after["steps"] == before["steps"][3:]
        assert after["weights"] == before["weights"]
    assert seen["whole"][0]["weights"] == seen["whole"][1]["weights"]
    assert "number of processes was 2 when the checkpoint was written and is 1 now" in output
