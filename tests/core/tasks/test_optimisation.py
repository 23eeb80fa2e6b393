import math

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from small_towers import small_data, small_task, small_trainer
from torch import nn

from vlcore.errors import ConfigurationError
from vlcore.tasks.optimisation import build_optimizer, parameter_groups
from vlcore.tasks.schedule import WarmupSchedule


def factors(name, warmup, total, steps):
    schedule = WarmupSchedule(name, warmup)
    schedule.total_steps = total
    return [schedule(step) for step in range(steps)]


def test_cosine_warms_up_linearly_and_ends_at_zero():
    values = factors("cosine", 4, 12, 14)
    assert values[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert values[4] == pytest.approx(1.0)
    assert values[8] == pytest.approx(0.5)  # half way between step 4 and step 12
    assert values[11] == pytest.approx(0.5 * (1 + math.cos(math.pi * 7 / 8)))
    assert values[12:] == [0.0, 0.0]


def test_constant_stays_after_the_warm_up_even_without_an_end():
    assert factors("constant", 2, math.inf, 5) == [0.5, 1, 1, 1, 1]


def test_a_fraction_is_a_share_of_all_steps():
    assert factors("constant", 0.25, 16, 6) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert factors("constant", 0.0, 16, 2) == [1, 1]


@pytest.mark.parametrize("warmup", [-1, -0.1, 1.0, 2.5])
def test_an_impossible_warm_up_is_refused(warmup):
    with pytest.raises(ConfigurationError, match="warmup="):
        WarmupSchedule("cosine", warmup)


def test_only_learning_matrices_decay():
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    module.scale = nn.Parameter(torch.tensor(1.0))
    module[2].requires_grad_(False)
    decaying, plain = parameter_groups(module, 0.1)
    assert decaying["weight_decay"] == 0.1 and plain["weight_decay"] == 0
    assert [id(p) for p in decaying["params"]] == [id(module[0].weight)]
    assert {id(p) for p in plain["params"]} == {
        id(p) for p in (module.scale, module[0].bias, module[1].weight, module[1].bias)
    }


def test_the_optimiser_is_fused_where_it_can_be():
    assert build_optimizer(nn.Linear(2, 2), 1e-3, 0.1, (0.9, 0.98)).defaults["fused"] is True
    assert build_optimizer(nn.Linear(2, 2), 1e-3, 0.1, (0.9, 0.98), fused=False).defaults["fused"] is False
    assert build_optimizer(nn.Linear(2, 2, device="meta"), 1e-3, 0.1, (0.9, 0.98)).defaults["fused"] is False


def test_a_model_that_learns_nothing_is_refused():
    with pytest.raises(ConfigurationError, match="Nothing learns"):
        build_optimizer(nn.Linear(2, 2).requires_grad_(False), 1e-3, 0.1, (0.9, 0.98))


class Rates(Callback):
    """The rate of every optimiser step, and where the schedule stands after the last one."""

    def __init__(self):
        self.used, self.after = [], None

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.used.append(optimizer.param_groups[0]["lr"])

    def on_train_end(self, trainer, pl_module):
        self.after = trainer.optimizers[0].param_groups[0]["lr"]


@pytest.fixture
def no_estimate(monkeypatch):
    """Lightning's estimate of the steps must never be asked for: resumed runs would read data twice."""

    def refuse(self):
        raise AssertionError("estimated_stepping_batches was touched")

    monkeypatch.setattr(Trainer, "estimated_stepping_batches", property(refuse))


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"max_epochs": 3}, 12),  # 16 pairs in batches of 4
        ({"max_epochs": 3, "accumulate_grad_batches": 3}, 6),  # 3 batches, then the 1 that is left
        ({"max_epochs": 3, "limit_train_batches": 3}, 9),
        ({"max_epochs": 4, "limit_train_batches": 0.5}, 8),
        ({"max_steps": 7, "max_epochs": -1}, 7),
        ({"max_steps": 7, "max_epochs": 50}, 7),
        ({"max_steps": 70, "max_epochs": 2}, 8),
    ],
)
def test_the_schedule_ends_with_the_last_step(tiny_manifest, tmp_path, no_estimate, options, steps):
    rates = Rates()
    trainer = small_trainer(tmp_path, callbacks=[rates], **options)
    trainer.fit(small_task(warmup=2), datamodule=small_data(tiny_manifest, batch_size=4))
    expected = [0.05 * factor for factor in factors("cosine", 2, steps, steps)]
    assert trainer.global_step == steps
    assert rates.used == pytest.approx(expected)
    assert rates.after == 0
    assert rates.used[-1] > 0


def test_a_fraction_holds_from_the_first_step_on(tiny_manifest, tmp_path, no_estimate):
    rates = Rates()
    trainer = small_trainer(tmp_path, callbacks=[rates], max_epochs=2)
    trainer.fit(small_task(warmup=0.5), datamodule=small_data(tiny_manifest, batch_size=4))
    assert rates.used == pytest.approx([0.05 * factor for factor in factors("cosine", 4, 8, 8)])


def test_an_endless_run_needs_a_constant_schedule(tiny_manifest, tmp_path):
    options = {"max_epochs": -1, "max_time": "00:00:00:01"}
    with pytest.raises(ConfigurationError, match="no end"):
        small_trainer(tmp_path, **options).fit(small_task(), datamodule=small_data(tiny_manifest))
