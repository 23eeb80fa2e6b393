import pytest
import torch

from vlcore.heads.standardise import Standardise, safe_scale


def test_changes_nothing_until_statistics_are_set():
    features = torch.randn(4, 3)
    assert torch.equal(Standardise(3)(features), features)


def test_standardises_the_features_it_was_set_from():
    features = torch.randn(500, 3) * torch.tensor([1e-4, 1.0, 1e4]) + torch.tensor([1e-3, 0.0, -5.0])
    standardise = Standardise(3)
    standardise.set_statistics(features.mean(0), features.std(0, unbiased=False))
    out = standardise(features)
    torch.testing.assert_close(out.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.std(0, unbiased=False), torch.ones(3), atol=1e-4, rtol=0)


def test_a_constant_column_gets_the_scale_of_the_others():
    scale = safe_scale(torch.tensor([0.0, 1000.0, 0.0]), torch.tensor([2.0, 1e-5, 2.0]))
    assert scale[0] == scale[2] == 2
    assert scale[1] == 2


@pytest.mark.parametrize("unit", [1e-10, 1.0, 1e10])
def test_what_counts_as_constant_does_not_depend_on_the_unit(unit):
    deviation = torch.tensor([1.0, 0.0, 3.0, 1e-8], dtype=torch.float64)
    plain = safe_scale(torch.zeros(4, dtype=torch.float64), deviation)
    torch.testing.assert_close(safe_scale(torch.zeros(4, dtype=torch.float64), deviation * unit), plain * unit)


def test_a_few_huge_columns_do_not_make_the_others_constant():
    deviation = torch.tensor([1.0, 2.0, 3.0, 1e9])
    assert torch.equal(safe_scale(torch.zeros(4), deviation), deviation)


def test_setting_the_scale_again_keeps_it():
    mean, deviation = torch.zeros(4), torch.tensor([1e-9, 0.0, 1e-9, 2e-9])
    once = safe_scale(mean, deviation)
    torch.testing.assert_close(safe_scale(mean, once), once)


def test_no_variation_at_all_divides_by_one():
    assert torch.equal(safe_scale(torch.ones(3), torch.zeros(3)), torch.ones(3))


@pytest.mark.parametrize(
    "mean, scale, message",
    [
        (torch.zeros(2), torch.ones(3), "mean has shape"),
        (torch.zeros(3), torch.ones(1), "scale has shape"),
        (torch.tensor([0, float("nan"), 0]), torch.ones(3), "mean has NaN"),
        (torch.zeros(3), torch.tensor([1, float("inf"), 1]), "scale has NaN"),
        (torch.zeros(3), torch.tensor([1.0, -1.0, 1.0]), "negative"),
    ],
)
def test_bad_statistics_are_refused_and_change_nothing(mean, scale, message):
    standardise = Standardise(3)
    with pytest.raises(ValueError, match=message):
        standardise.set_statistics(mean, scale)
    assert torch.equal(standardise.mean, torch.zeros(3))
    assert torch.equal(standardise.scale, torch.ones(3))
