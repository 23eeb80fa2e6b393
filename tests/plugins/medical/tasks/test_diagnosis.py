"""The diagnosis head and its temperature."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vlcore.errors import ConfigurationError
from vlcore.metrics.classification import expected_calibration_error
from vlcore_medical.tasks.diagnosis import DiagnosisSettings, calibrate, choose_diagnosis, fit_diagnosis
from vlcore_medical.tasks.fit import FitSettings
from vlcore_medical.tasks.temperature import fit_temperature

SETTINGS = DiagnosisSettings(components=6, hidden=16, dropout=0.1, training=FitSettings(10, 40, 2e-2))


def samples(count: int, seed: int) -> tuple[torch.Tensor, list[str]]:
    """Features in which a third of the labels cannot be told."""
    generator = np.random.default_rng(seed)
    classes = generator.integers(0, 2, count)
    image = np.stack([classes * 4.0, *generator.normal(size=(5, count))], axis=1)
    told = np.where(generator.random(count) < 0.3, generator.integers(0, 2, count), classes)
    return torch.tensor(image, dtype=torch.float32), ["AP" if one else "PA" for one in told]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_the_temperature_is_that_which_the_labels_were_drawn_with(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20000, 4, generator=generator) * 2
    target = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    assert fit_temperature(logits * temperature, target) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_equals_that_of_a_fine_grid() -> None:
    logits, target = torch.randn(50, 3, generator=torch.Generator().manual_seed(1)), torch.arange(50) % 3
    grid = np.exp(np.linspace(-4, 4, 801))
    losses = [float(torch.nn.functional.cross_entropy(logits.double() / value, target)) for value in grid]
    assert fit_temperature(logits, target) == pytest.approx(grid[int(np.argmin(losses))], rel=0.02)


def test_calibration_changes_confidence_and_no_decision() -> None:
    model = fit_diagnosis(*samples(300, 0), SETTINGS)
    # An overconfident head, as long training makes it.
    with torch.no_grad():
        model.head.network[-1].weight *= 6
        model.head.network[-1].bias *= 6
    image, labels = samples(400, 1)
    before = model.probabilities(image)
    temperature = calibrate(model, *samples(400, 2))
    after, target = model.probabilities(image), model.target(labels).numpy()
    assert temperature > 2
    assert np.array_equal(before.argmax(1), after.argmax(1))
    hit = after.argmax(1) == target
    assert hit.mean() > 0.78
    assert expected_calibration_error(after.max(1), hit) < 0.5 * expected_calibration_error(before.max(1), hit)
    assert calibrate(model, *samples(400, 2)) == pytest.approx(temperature)


def test_settings_are_chosen_on_groups_that_were_left_out() -> None:
    image, labels = samples(120, 0)
    untrained = DiagnosisSettings(components=6, training=FitSettings(1, 120, 1e-6))
    # A class of one group alone is never told by the fold that leaves it out.
    labels[:4], groups = ["L"] * 4, [str(max(row, 3)) for row in range(120)]
    chosen, scores = choose_diagnosis(image, labels, groups, [untrained, SETTINGS])
    assert chosen == SETTINGS
    assert scores[0] < scores[1] < 67
    with pytest.raises(ConfigurationError, match="has 1 groups and 3 parts are needed"):
        choose_diagnosis(image, labels, ["one"] * 120, [SETTINGS])


def test_what_cannot_be_fitted_is_told() -> None:
    image, labels = samples(20, 0)
    with pytest.raises(ConfigurationError, match="at least 2 classes to tell apart; the labels hold 1"):
        fit_diagnosis(image, ["PA"] * 20, SETTINGS)
    model = fit_diagnosis(image, labels, SETTINGS)
    with pytest.raises(ConfigurationError, match="The labels 'L' do not occur in training; known: AP, PA"):
        calibrate(model, image[:1], ["L"])
    with pytest.raises(ConfigurationError, match="got 0 rows"):
        calibrate(model, image[:0], [])
    with pytest.raises(ConfigurationError, match="got 1 rows, 1 values not finite"):
        fit_temperature(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0]))
