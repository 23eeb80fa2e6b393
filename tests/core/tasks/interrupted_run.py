"""Train whole, then killed at some point and resumed, and print the weights of all; run as a program.

Everything that could make a difference is on: dropout, augmentation in worker processes, a cosine schedule with
warm-up, averaged weights, micro-batches, and validation within the epoch.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from small_towers import register, small_data, small_task, small_trainer
from torchvision.transforms import v2

from vlcore import files
from vlcore.tasks.averaging import ExponentialMovingAverage

SAVING = {
    "steps": {"every_n_train_steps": 2},
    "epochs": {"every_n_epochs": 1, "save_on_train_epoch_end": True},
    "validation": {"every_n_epochs": 1, "save_on_train_epoch_end": False},
}


class Weights(Callback):
    """Digests of the trained and, at the end, of the averaged weights."""

    def __init__(self, path):
        self.path, self.trained = path, ""

    def on_train_batch_end(self, trainer, pl_module, *rest):
        self.trained = digest(pl_module)

    def on_train_end(self, trainer, pl_module):
        if trainer.is_global_zero:
            seen = {"trained": self.trained, "averaged": digest(pl_module), "steps": trainer.global_step}
            self.path.write_text(json.dumps(seen))


class Kill(Callback):
    """Ends all processes of the run, as a machine that loses power does."""

    def __init__(self, hook, step):
        self.hook, self.step = hook, step

    def _at(self, hook, trainer):
        if hook == self.hook and trainer.global_step == self.step and not trainer.sanity_checking:
            os.killpg(0, signal.SIGKILL)

    def on_train_batch_start(self, trainer, *rest):
        self._at("batch", trainer)

    def on_before_backward(self, trainer, *rest):
        self._at("backward", trainer)

    def on_before_zero_grad(self, trainer, *rest):
        self._at("gradients", trainer)

    def on_validation_batch_start(self, trainer, *rest):
        self._at("validation", trainer)

    def on_train_epoch_end(self, trainer, *rest):
        self._at("epoch end", trainer)


def digest(module):
    found = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        found.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return found.hexdigest()


def kill_while_writing(number):
    """Kill when the file of the `number`th checkpoint is written but not yet in its place."""
    seen = [0]
    sync = files.sync

    def killing(path):
        seen[0] += ".ckpt." in str(path)
        if seen[0] == number:
            os.killpg(0, signal.SIGKILL)
        sync(path)

    files.sync = killing


def run(manifest, folder, name, processes, kill=None, resume=False, saving="steps"):
    """One run in processes of its own; returns whether it came to its end."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    os.setpgid(0, 0)
    seed_everything(3, verbose=False)
    callbacks = [
        ExponentialMovingAverage(0.9),
        Weights(folder / f"{name}.json"),
        ModelCheckpoint(folder / name, filename="last", enable_version_counter=False, **SAVING[saving]),
    ]
    if kill is not None and kill[0] == "writing":
        kill_while_writing(kill[1])
    elif kill is not None:
        callbacks.append(Kill(*kill))
    task = small_task(
        image_trainable="all",
        text_trainable="all",
        image_head="residual_mlp",
        text_head="residual_mlp",
        learning_rate=0.01,
        warmup=3,
        micro_batch_size=2,
    )
    augment = [v2.RandomHorizontalFlip(), v2.ColorJitter(0.3)]
    data = small_data(manifest, batch_size=4 // processes, num_workers=1, augment=augment, captions="all")
    strategy = {"strategy": "ddp_fork", "devices": processes} if processes > 1 else {}
    trainer = small_trainer(
        folder, max_epochs=3, val_check_interval=2, callbacks=callbacks, enable_checkpointing=True, **strategy
    )
    last = folder / name / "last.ckpt"
    trainer.fit(task, datamodule=data, ckpt_path=last if resume and last.exists() else None)
    sys.stdout.flush()
    os._exit(0)


def main(manifest: Path, folder: Path, processes: int) -> None:
    """All runs."""
    torch.set_num_threads(1)
    register()
    places = [
        ("steps", "backward", 3),
        ("steps", "gradients", 7),
        ("steps", "validation", 6),
        ("steps", "writing", 4),
        ("steps", "epoch end", 4),
        ("steps", "batch", 1),
        ("epochs", "backward", 6),
        ("epochs", "batch", 8),
        ("validation", "gradients", 7),
        ("validation", "batch", 8),
    ]
    if processes > 1:
        places = [("steps", "gradients", 5), ("epochs", "writing", 2)]
    assert run(manifest, folder, "whole", processes)
    for saving, hook, step in places:
        name = f"{saving} {hook} {step}"
        killed = not run(manifest, folder, name, processes, kill=(hook, step), saving=saving)
        assert killed, f"{name} was not killed"
        assert run(manifest, folder, name, processes, resume=True, saving=saving)
    if processes == 1:
        for saving in SAVING:
            name = f"{saving} twice"
            run(manifest, folder, name, processes, kill=("backward", 5), saving=saving)
            run(manifest, folder, name, processes, kill=("backward", 9), resume=True, saving=saving)
            assert run(manifest, folder, name, processes, resume=True, saving=saving)
    print(json.dumps({path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
