import pytest
import torch

from vlcore.errors import ConfigurationError
from vlcore.tasks.multi_task_adamw import MultiTaskAdamW

SHAPES = [(4, 3), (5,), (1,)]


def parameters(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in SHAPES]


def gradients(steps, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES] for _ in range(steps)]


def run(optimizer, tensors, given, datasets=None, scale=None):
    for step, values in enumerate(given):
        dataset = 0 if datasets is None else datasets[step]
        optimizer.dataset = dataset
        for tensor, value in zip(tensors, values, strict=True):
            tensor.grad = value.clone() * (1.0 if scale is None else scale[dataset])
        optimizer.step()
    return [tensor.detach().clone() for tensor in tensors]


def unit(values):
    norm = torch.cat([value.flatten() for value in values]).norm()
    return [value / norm for value in values]


def test_with_one_data_set_it_is_adamw_on_gradients_of_norm_1():
    options = {"lr": 0.01, "betas": (0.9, 0.98), "weight_decay": 0.1}
    given = gradients(30)
    ours, theirs = parameters(), parameters()
    found = run(MultiTaskAdamW(ours, [1.0], [1.0], **options), ours, given)
    reference = torch.optim.AdamW(theirs, **options)
    for values in given:
        for tensor, value in zip(theirs, unit(values), strict=True):
            tensor.grad = value
        reference.step()
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(found, theirs, strict=True))


def reference_step(tensors, state, values, dataset, probabilities, weights, lr, betas, eps, decay):
    """The paper's equations, one parameter at a time, in plain Python."""
    norm = sum(float((value**2).sum()) for value in values) ** 0.5
    for index, (tensor, value) in enumerate(zip(tensors, values, strict=True)):
        gradient = weights[dataset] * value / norm
        mean, square, count = state.get(index, (torch.zeros_like(value), torch.zeros_like(value), 0))
        # beta = 1 - PyTorch's: the weight of the new gradient.
        mean = betas[0] * mean + (1 - betas[0]) / probabilities[dataset] * gradient
        square = betas[1] * square + (1 - betas[1]) / probabilities[dataset] * gradient**2
        count += 1
        state[index] = mean, square, count
        tensor.mul_(1 - lr * decay)
        tensor.sub_(lr * (mean / (1 - betas[0] ** count)) / ((square / (1 - betas[1] ** count)).sqrt() + eps))


def test_a_mixture_follows_the_equations():
    probabilities, weights = [0.7, 0.2, 0.1], [0.5, 1.0, 2.0]
    datasets = torch.multinomial(torch.tensor(probabilities), 40, replacement=True).tolist()
    given, ours = gradients(40), parameters()
    expected = [tensor.detach().clone() for tensor in ours]
    found = run(
        MultiTaskAdamW(ours, probabilities, weights, lr=0.02, betas=(0.9, 0.95), weight_decay=0.05),
        ours,
        given,
        datasets,
    )
    state = {}
    for values, dataset in zip(given, datasets, strict=True):
        reference_step(expected, state, values, dataset, probabilities, weights, 0.02, (0.9, 0.95), 1e-8, 0.05)
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("factor", [1e-3, 1000.0])
def test_the_scale_of_one_data_sets_loss_changes_nothing(factor):
    datasets = [0, 1, 1, 0, 1, 0, 0, 1] * 5
    given = gradients(40)
    first, second = parameters(), parameters()
    options = {"probabilities": [0.5, 0.5], "weights": [1.0, 1.0], "lr": 0.01}
    found = run(MultiTaskAdamW(first, **options), first, given, datasets)
    scaled = run(MultiTaskAdamW(second, **options), second, given, datasets, scale=[1.0, factor])
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(found, scaled, strict=True))


def test_in_the_long_run_each_data_set_counts_by_its_weight_however_seldom_it_is_drawn():
    """Each data set pulls along an axis of its own; the first moment averages to weight times direction."""
    probabilities, weights = [0.9, 0.1], [1.0, 0.5]
    tensor = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimizer = MultiTaskAdamW([tensor], probabilities, weights, lr=0.0, betas=(0.99, 0.999))
    generator = torch.Generator().manual_seed(0)
    means = []
    for step in range(20_000):
        dataset = int(torch.rand((), generator=generator) > 0.9)
        optimizer.dataset = dataset
        tensor.grad = torch.zeros(2, dtype=torch.float64)
        tensor.grad[dataset] = 7.0
        optimizer.step()
        if step > 1000:
            means.append(optimizer.state[tensor]["exp_avg"].clone())
    first, second = torch.stack(means).mean(dim=0).tolist()
    assert first == pytest.approx(1.0, abs=0.02)
    assert second == pytest.approx(0.5, abs=0.03)


def test_no_gradient_at_all_is_no_division_by_zero():
    tensors = parameters()
    before = [tensor.detach().clone() for tensor in tensors]
    after = run(MultiTaskAdamW(tensors, [1.0], [1.0]), tensors, [[torch.zeros_like(value) for value in tensors]])
    assert all(map(torch.equal, before, after))


def test_parameters_without_a_gradient_are_left_alone():
    tensors = parameters()
    optimizer = MultiTaskAdamW(tensors, [1.0], [1.0], weight_decay=0.1)
    before = tensors[1].detach().clone()
    tensors[0].grad = torch.ones_like(tensors[0])
    optimizer.step()
    assert torch.equal(tensors[1], before) and tensors[1] not in optimizer.state


def test_a_step_that_is_flagged_changes_nothing():
    tensors, given = parameters(), gradients(4)
    optimizer = MultiTaskAdamW(tensors, [1.0], [1.0], weight_decay=0.1)
    run(optimizer, tensors, given[:2])
    before = [tensor.detach().clone() for tensor in tensors]
    state = [value.clone() for entry in optimizer.state.values() for value in entry.values()]
    optimizer.found_inf = torch.ones(())
    bad = [[torch.full_like(value, float("nan")) for value in given[2]], given[3]]
    after = run(optimizer, tensors, bad)
    assert all(map(torch.equal, before, after))
    assert all(map(torch.equal, state, [value for entry in optimizer.state.values() for value in entry.values()]))
    optimizer.found_inf = torch.zeros(())
    assert not torch.equal(run(optimizer, tensors, given[3:])[0], before[0])


def test_it_goes_on_from_its_state():
    given = gradients(10)
    first = parameters()
    options = {"probabilities": [0.5, 0.5], "weights": [1.0, 2.0], "lr": 0.01, "weight_decay": 0.1}
    datasets = [0, 1] * 5
    whole = run(MultiTaskAdamW(first, **options), first, given, datasets)
    second = parameters()
    optimizer = MultiTaskAdamW(second, **options)
    run(optimizer, second, given[:5], datasets[:5])
    state = optimizer.state_dict()
    resumed = MultiTaskAdamW(second, **options)
    resumed.load_state_dict(state)
    assert all(map(torch.equal, whole, run(resumed, second, given[5:], datasets[5:])))


@pytest.mark.parametrize(
    ("probabilities", "weights"),
    [([0.5, 0.6], [1, 1]), ([1.0], [1, 1]), ([1.0, 0.0], [1, 1]), ([0.5, 0.5], [1, 0])],
)
def test_values_that_make_no_mixture_are_refused(probabilities, weights):
    with pytest.raises(ConfigurationError, match="probabilities="):
        MultiTaskAdamW(parameters(), probabilities, weights)
