"""Training of a scene language model on cached image features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vlcore.data.progress import track
from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.language_model.scene_language_model import SceneLanguageModel


@dataclass(frozen=True)
class LanguageSettings:
    """How a scene language model is trained.

    Attributes:
        epochs: over all questions.
        batch_size: questions per step.
        learning_rate: peak, warmed up over a twentieth of the steps, then down a cosine to zero.
        weight_decay: of AdamW.
        gradient_clip: norm of the gradient at most.
    """

    epochs: int = 3
    batch_size: int = 16
    learning_rate: float = 2e-4
    weight_decay: float = 0.0
    gradient_clip: float = 1.0


def fit_language(
    model: SceneLanguageModel,
    features: Tensor,
    questions: Sequence[str],
    answers: Sequence[str],
    settings: LanguageSettings | None = None,
    *,
    seed: int = 0,
    progress: bool = False,
) -> list[float]:
    """Teach projector and adapters to answer.

    For classes of scenes, ask one question of every image and answer with the name of its class.

    Args:
        model: to train, in place.
        features: `[N, W]` rows of the level encoder, such as `Model.network.image_features` gives.
        questions: N questions.
        answers: N answers.
        settings: of the training.
        seed: of the order, and of dropout.
        progress: show a bar on standard error.

    Returns:
        Mean loss of each epoch.

    Raises:
        ConfigurationError: if there is nothing to learn from, or the lengths differ.
    """
    chosen = settings or LanguageSettings()
    if not len(features) or not len(features) == len(questions) == len(answers):
        raise ConfigurationError(
            f"There are {len(features)} images, {len(questions)} questions and {len(answers)} answers; each image "
            f"needs one of both, and there must be one at least."
        )
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=chosen.learning_rate, weight_decay=chosen.weight_decay)
    steps = chosen.epochs * math.ceil(len(features) / chosen.batch_size)
    warm = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(1.0, (step + 1) / warm) * (1 + math.cos(math.pi * min(1.0, step / steps))) / 2,
    )
    losses = []
    with torch.random.fork_rng(devices=[]), track(steps, "training", progress) as advance:
        torch.manual_seed(seed)
        model.train()
        for _ in range(chosen.epochs):
            order, total = torch.randperm(len(features)), 0.0
            for rows in torch.split(order, chosen.batch_size):
                places = rows.tolist()
                loss = model.loss(
                    features[rows], [questions[place] for place in places], [answers[place] for place in places]
                )
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(learning, chosen.gradient_clip)
                optimizer.step()
                schedule.step()
                total += float(loss.detach()) * len(places)
                advance(1)
            losses.append(total / len(features))
    model.eval()
    return losses
