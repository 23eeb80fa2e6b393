"""Whitened principal components, against numpy's covariance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vlcore.errors import ConfigurationError
from vlcore_medical.heads.principal_components import PrincipalComponents


def test_components_are_uncorrelated_of_variance_one_and_span_what_varies_most() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 3, generator=generator) @ torch.randn(3, 10, generator=generator) * 5 + 7
    module = PrincipalComponents(10, 2)
    module.fit(features)
    found = module(features).double().numpy()
    assert np.allclose(np.cov(found.T), np.eye(2), atol=1e-4)
    standard = ((features - features.mean(0)) / features.std(0)).double().numpy()
    values, vectors = np.linalg.eigh(np.cov(standard.T))
    expected = standard @ vectors[:, ::-1][:, :2] / np.sqrt(values[::-1][:2])
    assert np.allclose(np.abs(found), np.abs(expected), atol=1e-3)


def test_the_signs_are_the_same_for_reordered_rows() -> None:
    features = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    one, other = PrincipalComponents(6, 3), PrincipalComponents(6, 3)
    one.fit(features)
    other.fit(features.flip(0))
    assert torch.allclose(one(features), other(features), atol=1e-4)


@pytest.mark.parametrize("components", [0, 7])
def test_a_number_of_components_that_cannot_be_is_told(components: int) -> None:
    with pytest.raises(ConfigurationError, match=f"components={components}: choose 1 to 6"):
        PrincipalComponents(6, components)


def test_too_few_rows_are_told() -> None:
    with pytest.raises(ConfigurationError, match="3 rows of features cannot give 3 principal components"):
        PrincipalComponents(6, 3).fit(torch.randn(3, 6))
