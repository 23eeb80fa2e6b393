import itertools
import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

from vlcore.errors import ConfigurationError
from vlcore.tasks.schedule import WarmupSchedule, start_schedule

STEPS = 200


def uba(phi, warmup=0, steps=STEPS):
    schedule = WarmupSchedule("uba", warmup, phi)
    schedule.total_steps = steps
    return schedule


def test_phi_2_is_the_cosine_of_pytorch():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.3)
    reference = CosineAnnealingLR(optimizer, STEPS)
    schedule = uba(2.0)
    for step in range(STEPS):
        assert 0.3 * schedule(step) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        reference.step()


def test_phi_0_is_constant():
    assert {uba(0.0)(step) for step in range(STEPS + 10)} == {1.0}


@pytest.mark.parametrize("phi", [0.01, 0.5, 1.0, 2.0, 5.0, 100.0])
def test_it_starts_at_the_peak_ends_at_zero_and_never_rises(phi):
    values = [uba(phi)(step) for step in range(STEPS + 5)]
    assert values[0] == pytest.approx(1.0, abs=1e-12)
    assert values[STEPS] == pytest.approx(0.0, abs=1e-12)
    assert all(later <= earlier for earlier, later in itertools.pairwise(values))
    assert values[STEPS // 2] == pytest.approx(2 / (2 + phi), abs=1e-12)


def test_larger_phi_falls_sooner():
    for step in range(1, STEPS):
        values = [uba(phi)(step) for phi in (0.0, 0.3, 1.0, 2.0, 4.0, 9.0)]
        assert values == sorted(values, reverse=True) and len(set(values)) == 6


@pytest.mark.parametrize("budget", [10, 100, 1000])
def test_its_shape_does_not_depend_on_the_budget(budget):
    assert uba(1.0, steps=budget)(budget // 2) == pytest.approx(2 / 3)


def test_the_warm_up_ends_where_the_schedule_begins():
    schedule = uba(1.0, warmup=20)
    assert schedule(19) == 1.0 == pytest.approx(schedule(20), abs=1e-12)
    assert schedule(0) == pytest.approx(1 / 20)
    assert schedule(STEPS) == pytest.approx(0.0, abs=1e-12)


def test_going_on_from_a_step_gives_the_same_rates():
    def rates(scheduler, optimizer, steps):
        found = []
        for _ in range(steps):
            optimizer.step()
            scheduler.step()
            found.append(optimizer.param_groups[0]["lr"])
        return found

    def make():
        schedule = WarmupSchedule("uba", 0.1, 1.5)
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
        return schedule, optimizer, LambdaLR(optimizer, [schedule])

    schedule, optimizer, scheduler = make()
    start_schedule(scheduler, schedule, 50)
    whole = rates(scheduler, optimizer, 50)
    schedule, optimizer, scheduler = make()
    start_schedule(scheduler, schedule, 50)
    rates(scheduler, optimizer, 17)
    state = scheduler.state_dict(), optimizer.state_dict()
    schedule, optimizer, scheduler = make()
    optimizer.load_state_dict(state[1])
    scheduler.load_state_dict(state[0])
    start_schedule(scheduler, schedule, 50)
    assert rates(scheduler, optimizer, 33) == whole[17:]


def test_an_endless_run_has_no_budget():
    schedule = WarmupSchedule("uba", 5)
    scheduler = LambdaLR(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3), [schedule])
    with pytest.raises(ConfigurationError, match=r"set trainer\.max_steps"):
        start_schedule(scheduler, schedule, math.inf)


@pytest.mark.parametrize("phi", [-0.1, math.inf, math.nan])
def test_an_impossible_shape_is_refused(phi):
    with pytest.raises(ConfigurationError, match="uba_phi="):
        WarmupSchedule("uba", 0, phi)
