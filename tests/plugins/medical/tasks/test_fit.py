"""The loop that trains small models."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vlcore.errors import ConfigurationError, NonFiniteGradientsError
from vlcore_medical.tasks.fit import FitSettings, fit


def regression(seed: int) -> tuple[list[float], nn.Linear]:
    """Fit a linear map that is known."""
    torch.manual_seed(0)
    inputs = torch.randn(64, 3)
    target = inputs @ torch.tensor([[1.0], [-2.0], [0.5]])
    model = nn.Linear(3, 1)
    losses = fit(
        model,
        lambda rows: nn.functional.mse_loss(model(inputs[rows]), target[rows]),
        64,
        FitSettings(epochs=20, batch_size=16, learning_rate=0.2, weight_decay=0.0),
        seed=seed,
    )
    return losses, model


def test_it_learns_and_repeats_itself_and_leaves_the_random_state_alone() -> None:
    state = torch.random.get_rng_state()
    losses, model = regression(0)
    again, _ = regression(0)
    other, _ = regression(1)
    assert losses == again
    assert losses != other
    assert losses[-1] < 1e-3 * losses[0]
    assert not model.training
    torch.random.set_rng_state(state)
    fit(model, lambda rows: model(torch.ones(len(rows), 3)).sum(), 4, FitSettings(epochs=1))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_loss_that_is_not_finite_stops_it() -> None:
    model = nn.Linear(1, 1)

    def loss(rows: Tensor) -> Tensor:
        return model(torch.full((len(rows), 1), torch.nan)).sum()

    with pytest.raises(NonFiniteGradientsError, match=r"became nan in epoch 1. Lower learning_rate=0.001"):
        fit(model, loss, 4, FitSettings())


def test_no_rows_are_told() -> None:
    with pytest.raises(ConfigurationError, match="nothing to train on: 0 rows"):
        fit(nn.Linear(1, 1), lambda rows: rows.sum(), 0, FitSettings())
