"""What a Ray worker of the tests is: it knows the tiny towers, writes small shards, and may die once."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "hub"))

from vlcore.hub import safe_loading
from vlcore.retrieval import embed_ray, embedding_shards

SMALL = 3
DIE = "vlcore_test_die"  # a file of this name beside the shards says at which shard to die, once


def use_tiny_towers():
    safe_loading.allowed_packages = lambda: {"vlcore", "tiny_model"}
    embedding_shards.SHARD_RECORDS = SMALL


class Worker(embed_ray.ShardEmbedder):
    """Of the tests."""

    def __init__(self, *arguments):
        use_tiny_towers()
        super().__init__(*arguments)

    def __call__(self, batch):
        marker = self.writer.out.parent / DIE
        if marker.is_file():
            shard, when = marker.read_text().split()
            if int(shard) == int(batch["number"][0]):
                marker.unlink()
                if when == "after":
                    super().__call__(batch)
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)
