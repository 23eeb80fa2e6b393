"""What only a GPU can show; everything else about losses is tested on the CPU."""

import pytest
import torch
from torch.nn.functional import normalize

from vlcore.objectives.info_nce import InfoNCE
from vlcore.objectives.mil_nce import MILNCE
from vlcore.objectives.siglip import SigLIP

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def gradients(objective, device, dtype, pairs=300):
    generator = torch.Generator().manual_seed(0)
    image, text = (
        normalize(torch.randn(pairs, 64, generator=generator, dtype=torch.float64), dim=1).to(device, dtype)
        for _ in range(2)
    )
    image.requires_grad_(), text.requires_grad_()
    keys = (torch.arange(pairs, device=device) // 3, torch.arange(pairs, device=device) % 250)
    loss = objective(image, text, 30.0, -5.0, *keys)
    loss.backward()
    return loss.detach().cpu().double(), image.grad.cpu().double(), text.grad.cpu().double()


@pytest.mark.parametrize("objective", [InfoNCE(), SigLIP(), MILNCE()], ids=lambda objective: type(objective).__name__)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3), (torch.bfloat16, 2e-2)])
def test_losses_are_those_of_the_cpu(objective, dtype, tolerance):
    expected = gradients(objective, "cpu", torch.float64)
    for found, wanted in zip(gradients(objective, "cuda", dtype), expected, strict=True):
        assert float((found - wanted).norm() / wanted.norm()) < tolerance
