"""DINO's loss against a slow reference, its centre, its temperatures and what does not change it."""

from __future__ import annotations

import math
import os

import pytest
import torch

from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.objectives.self_distillation import SelfDistillation


def reference(student, teacher, centre, student_temperature, teacher_temperature):
    """Pairs of views one by one, sums of numbers one by one."""
    total, pairs = 0.0, 0
    for g in range(len(teacher)):
        for v in range(len(student)):
            if g == v:
                continue
            pairs += 1
            for said, guessed in zip(teacher[g].tolist(), student[v].tolist(), strict=True):
                said = [math.exp((x - c) / teacher_temperature) for x, c in zip(said, centre.tolist(), strict=True)]
                guessed = [math.exp(x / student_temperature) for x in guessed]
                total -= sum(
                    s / sum(said) * math.log(q / sum(guessed)) for s, q in zip(said, guessed, strict=True)
                ) / len(teacher[g])
    return total / pairs


def outputs(views, images=3, width=5, seed=0, dtype=torch.float64):
    return torch.rand(views, images, width, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 2 - 1


@pytest.mark.parametrize(("views", "targets"), [(2, 2), (6, 2), (2, 1), (4, 3)])
def test_the_loss_is_that_of_a_slow_reference(views, targets):
    loss = SelfDistillation(5, 0.1, 0.07).double()
    loss.centre.copy_(torch.linspace(-0.2, 0.3, 5))
    student, teacher = outputs(views), outputs(targets, seed=1)
    expected = reference(student, teacher, loss.centre, 0.1, 0.07)
    assert float(loss(student, teacher)) == pytest.approx(expected, rel=1e-12)


def test_gradients_go_to_the_student_alone_and_not_to_the_centre():
    loss = SelfDistillation(5)
    student, teacher = (outputs(2, dtype=torch.float32).requires_grad_() for _ in range(2))
    loss(student, teacher).backward()
    assert student.grad is not None and student.grad.abs().sum() > 0
    assert teacher.grad is None and not loss.centre.requires_grad
    double = SelfDistillation(4).double()
    assert torch.autograd.gradcheck(lambda views: double(views, outputs(2, 2, 4, 3)), outputs(3, 2, 4).requires_grad_())


def test_what_does_not_change_the_loss():
    loss = SelfDistillation(5).double()
    student, teacher = outputs(5), outputs(2, seed=1)
    value = loss(student, teacher)
    order = [0, 1, 4, 2, 3]
    assert torch.allclose(loss(student[order], teacher), value, rtol=1e-12)  # of local views
    swapped = torch.cat([student[[1, 0]], student[2:]])
    assert torch.allclose(loss(swapped, teacher[[1, 0]]), value, rtol=1e-12)  # of both global views
    assert torch.allclose(loss(student[:, [2, 0, 1]], teacher[:, [2, 0, 1]]), value, rtol=1e-12)  # of images
    assert torch.allclose(loss(student + 3.0, teacher - 2.0), value, rtol=1e-9)  # softmax
    loss.centre += 7.0
    assert torch.allclose(loss(student, teacher), value, rtol=1e-9)


def test_a_view_is_not_compared_with_itself():
    loss = SelfDistillation(5).double()
    student, teacher = outputs(3), outputs(1, seed=1)
    changed = torch.cat([outputs(1, seed=9), student[1:]])
    assert torch.equal(loss(student, teacher), loss(changed, teacher))


def test_the_least_loss_is_the_entropy_of_the_teacher():
    loss = SelfDistillation(5, 0.04, 0.04).double()
    teacher = outputs(1).expand(2, -1, -1)
    entropy = torch.distributions.Categorical(logits=teacher[0] / 0.04).entropy().mean()
    assert torch.allclose(loss(teacher, teacher), entropy)
    assert float(loss(outputs(2, seed=4), teacher)) > float(entropy)


def test_the_centre_is_a_moving_mean_of_the_teacher_and_part_of_the_state():
    loss = SelfDistillation(5, centre_momentum=0.9).double()
    expected = torch.zeros(5, dtype=torch.float64)
    for step in range(4):
        teacher = outputs(2, seed=step)
        loss.update_centre(teacher)
        expected = 0.9 * expected + 0.1 * teacher.reshape(-1, 5).mean(0)
    assert torch.allclose(loss.centre, expected, rtol=1e-12)
    assert torch.equal(loss.state_dict()["centre"], loss.centre)


def test_the_temperature_goes_from_one_to_the_other_in_equal_steps():
    loss = SelfDistillation(5, teacher_temperature=0.07, warmup_temperature=0.04, warmup_epochs=4)
    assert [loss.temperature(epoch) for epoch in range(6)] == pytest.approx([0.04, 0.05, 0.06, 0.07, 0.07, 0.07])
    assert SelfDistillation(5, teacher_temperature=0.07, warmup_epochs=1).temperature(0) == 0.04
    assert SelfDistillation(5, teacher_temperature=0.07).temperature(0) == 0.07
    warm = SelfDistillation(5, teacher_temperature=0.07, warmup_temperature=0.04, warmup_epochs=4).double()
    student, teacher = outputs(3), outputs(2, seed=1)
    assert float(warm(student, teacher, epoch=1)) == pytest.approx(
        reference(student, teacher, warm.centre, 0.1, 0.05), rel=1e-9
    )


def test_half_precision_is_computed_in_full():
    loss = SelfDistillation(5)
    student, teacher = outputs(4).bfloat16(), outputs(2, seed=1).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(student, teacher)
    expected = reference(student.double(), teacher.double(), loss.centre, 0.1, 0.04)
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"student_temperature": 0.0}, "student_temperature=0.0: choose a number above 0"),
        ({"teacher_temperature": math.inf}, "teacher_temperature=inf"),
        ({"warmup_temperature": -1.0}, "warmup_temperature=-1.0"),
        ({"warmup_epochs": -1}, "warmup_epochs=-1: choose 0 for no warm-up"),
        ({"centre_momentum": 1.0}, "centre_momentum=1.0: choose 0 to below 1"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        SelfDistillation(5, **options)


def test_a_single_view_is_refused():
    loss = SelfDistillation(5)
    with pytest.raises(ConfigurationError, match="1 views of the student and 1 of the teacher"):
        loss(outputs(1), outputs(1))


def centre_of_process(rank, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    loss = SelfDistillation(5).double()
    loss.update_centre(outputs(2, images=4)[:, rank::2], torch.distributed.group.WORLD)
    torch.save(loss.centre, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_share_one_centre(tmp_path):
    torch.multiprocessing.start_processes(centre_of_process, (tmp_path,), nprocs=2, start_method="fork")
    alone = SelfDistillation(5).double()
    alone.update_centre(outputs(2, images=4))
    for rank in range(2):
        assert torch.allclose(torch.load(tmp_path / f"{rank}.pt", weights_only=True), alone.centre, rtol=1e-12)
