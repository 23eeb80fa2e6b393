"""The task on small towers, with every part of it on."""

from __future__ import annotations

import torch
from small_towers import register

from vlcore_remote_sensing.tasks.rs_m_clip import RSMClipTask

SETTINGS = {
    "image_encoder": "small/colours",
    "text_encoder": "small/words",
    "embedding_size": 4,
    "image_trainable": "all",
    "text_trainable": "all",
    "image_head": "linear",
    "text_head": "linear",
    "learning_rate": 0.02,
    "weight_decay": 0.0,
    "local_views": 2,
    "local_size": 4,
    "least_local_pixels": 4,
    "head_outputs": 12,
    "head_hidden_features": 8,
    "teacher_momentum": 0.9,
}


def make_task(**options):
    register()
    torch.manual_seed(0)
    return RSMClipTask(**{**SETTINGS, **options})


def make_anchored_task(model_options=None, **options):
    """A task on a model that was trained before."""
    model = make_task(**(model_options or {})).model
    return make_task(**{"model": model, "image_encoder": None, "text_encoder": None, **options})
