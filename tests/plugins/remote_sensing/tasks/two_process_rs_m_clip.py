"""Train in two processes and print a digest of each one's state; run as a program."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path += [str(Path(__file__).resolve().parents[3] / "core" / "tasks"), str(Path(__file__).parent)]

import torch
from lightning.pytorch import Callback, seed_everything
from small_rs_m_clip import make_anchored_task
from small_towers import small_data, small_trainer


class Digest(Callback):
    """Writes what a process has at the end, and the views that it cut last."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_end(self, trainer, task):
        found = hashlib.sha256()
        for key, value in sorted(task.state_dict().items()):
            found.update(key.encode() + value.detach().numpy().tobytes())
        drawn = float(torch.rand(()))
        (self.folder / f"{trainer.global_rank}.txt").write_text(f"{found.hexdigest()} {drawn}")


def main(manifest: Path, folder: Path) -> None:
    """One run."""
    torch.set_num_threads(1)
    seed_everything(3, verbose=False)
    task = make_anchored_task(anchor="similarity_divergence")
    trainer = small_trainer(folder, callbacks=[Digest(folder)], strategy="ddp_fork", devices=2, max_epochs=3)
    trainer.fit(task, datamodule=small_data(manifest, batch_size=4))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
