"""Heads that a text steers: masks and maps."""

from __future__ import annotations

import pytest
import torch

from vlcore.errors import ConfigurationError
from vlcore_medical.heads.film import FiLM
from vlcore_medical.heads.phrase_map import PhraseMapHead
from vlcore_medical.heads.text_guided_mask import TextGuidedMask


def test_film_scales_and_shifts_channels_and_starts_as_nothing() -> None:
    film = FiLM(2, 3)
    state, text = torch.randn(4, 5, 3), torch.randn(4, 2)
    assert torch.equal(film(state, text), state)
    torch.nn.init.normal_(film.project.weight)
    scale, shift = film.project(text)[:, :3], film.project(text)[:, 3:]
    expected = torch.stack([state[:, place] * (1 + scale) + shift for place in range(5)], dim=1)
    assert torch.allclose(film(state, text), expected)


def test_cells_are_scored_apart() -> None:
    head = PhraseMapHead(6, 4).eval()
    torch.nn.init.normal_(head.film.project.weight)
    cells, text = torch.randn(2, 9, 6), torch.randn(2, 4)
    head.fit_statistics(cells, text)
    order = torch.randperm(9)
    assert torch.allclose(head(cells, text)[:, order], head(cells[:, order], text), atol=1e-6)
    assert not torch.allclose(head(cells, text), head(cells, text.flip(0)))


def test_masks_have_the_size_of_the_image_and_samples_are_apart() -> None:
    model = TextGuidedMask(4, image_channels=2).eval()
    images, text = torch.randn(3, 2, 16, 24), torch.randn(3, 4)
    logits = model(images, text)
    assert logits.shape == (3, 16, 24)
    assert torch.allclose(model(images[1:2], text[1:2])[0], logits[1], atol=1e-4)


def test_a_size_that_cannot_be_halved_is_told() -> None:
    with pytest.raises(ConfigurationError, match="18 x 16 pixels: height and width must be multiples of 4"):
        TextGuidedMask(4)(torch.randn(1, 1, 18, 16), torch.randn(1, 4))
