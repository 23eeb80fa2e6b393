"""InfoNCE forward and backward against open_clip 3.3.0's `ClipLoss`: gradients, time, memory; then 65,536 pairs.

`python -m benchmarks.contrastive_loss --small` checks in seconds that it runs, and writes no result.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import interleaved, ratio, run_case, save, timed

PAIRS, LARGE, SIZE = 16_384, 65_536, 512
SCALE, BIAS = 1 / 0.07, -10.0
CHUNK = 1024
MIB = 2**20


def compare(pairs: int) -> dict[str, float]:
    """How far loss and gradients are from `ClipLoss` (relative; gradients by their norm), in one process."""
    inputs = _inputs(pairs)
    theirs, their_gradients = _step(_open_clip_info_nce, inputs)
    ours, our_gradients = _step(_vlcore_info_nce, inputs)
    names = ("image", "text", "logit_scale")
    distances = {
        name: float((mine - peer).norm() / peer.norm())
        for name, mine, peer in zip(names, our_gradients, their_gradients, strict=False)
    }
    return {"loss": abs(ours - theirs) / abs(theirs), **distances}


def open_clip_info_nce(pairs: int) -> dict[str, Any]:
    """`ClipLoss`, whose softmaxes of both directions stay in memory for the backward pass."""
    return _measure(_open_clip_info_nce, pairs)


def vlcore_info_nce(pairs: int) -> dict[str, Any]:
    """`vlcore.objectives.info_nce.InfoNCE`."""
    return _measure(_vlcore_info_nce, pairs)


def open_clip_siglip(pairs: int) -> dict[str, Any]:
    """`SigLipLoss` as released; the chunked one of its main branch cannot be installed and is not measured."""
    return _measure(_open_clip_siglip, pairs)


def chunked_siglip(pairs: int) -> dict[str, Any]:
    """SigLIP in chunks of 1,024 images, as open_clip's main branch has it; rebuilt here, for it is not released.

    Each chunk's logits stay in the graph until the backward pass.
    """
    return _measure(_chunked_siglip, pairs)


def vlcore_siglip(pairs: int) -> dict[str, Any]:
    """`vlcore.objectives.siglip.SigLIP`."""
    return _measure(_vlcore_siglip, pairs)


def _open_clip_info_nce(image: Tensor, text: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    from open_clip.loss import ClipLoss

    loss: Tensor = ClipLoss()(image, text, scale)
    return loss


def _vlcore_info_nce(image: Tensor, text: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    from vlcore.objectives.info_nce import InfoNCE

    loss: Tensor = InfoNCE()(image, text, scale)
    return loss


def _open_clip_siglip(image: Tensor, text: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    from open_clip.loss import SigLipLoss

    loss: Tensor = SigLipLoss()(image, text, scale, bias)
    return loss


def _chunked_siglip(image: Tensor, text: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    scaled, total = scale * image, image.new_zeros(())
    for start in range(0, len(image), CHUNK):
        rows = slice(start, start + CHUNK)
        logits = scaled[rows] @ text.T + bias
        # softplus(l) is the loss of a negative, and softplus(l) - l that of a positive: only the logits are kept.
        total = total + torch.nn.functional.softplus(logits).sum() - logits[:, rows].diagonal().sum()
    return total / len(image)


def _vlcore_siglip(image: Tensor, text: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    from vlcore.objectives.siglip import SigLIP

    loss: Tensor = SigLIP()(image, text, scale, bias)
    return loss


Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def _inputs(pairs: int) -> list[Tensor]:
    """Images, their texts nearby, scale and bias, all wanting gradients."""
    generator = torch.Generator().manual_seed(0)
    image = torch.nn.functional.normalize(torch.randn(pairs, SIZE, generator=generator), dim=1)
    noise = torch.randn(pairs, SIZE, generator=generator)
    text = torch.nn.functional.normalize(image + 0.05 * noise, dim=1)
    return [value.requires_grad_() for value in (image, text, torch.tensor(SCALE), torch.tensor(BIAS))]


def _step(loss: Loss, inputs: list[Tensor]) -> tuple[float, list[Tensor]]:
    value = loss(*inputs)
    value.backward()
    gradients = []
    for given in inputs:
        if given.grad is not None:
            gradients.append(given.grad)
            given.grad = None
    return value.item(), gradients


def _measure(loss: Loss, pairs: int) -> dict[str, Any]:
    """Seconds of a step, how much the process grows during it, and what autograd keeps between its two passes."""
    # Imports and the libraries' own buffers are not the loss's.
    _step(loss, _inputs(64))
    inputs = _inputs(pairs)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    before = _reset_peak()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        (value, _), seconds = timed(lambda: _step(loss, inputs))
    extra = (_status("VmHWM") - before) / MIB
    return {"seconds": seconds, "peak_extra_mib": extra, "saved_mib": sum(kept.values()) / MIB, "loss": value}


def _reset_peak() -> int:
    """Let the peak of the process start again at what it holds now (Linux), and return that in bytes.

    Memory that the C library keeps for later is given back first: a loss that reuses it would look smaller.
    """
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {field}.")


def _case(name: str) -> str:
    return f"benchmarks.contrastive_loss:{name}"


def main(repeats: int = 5, pairs: int = PAIRS, large: int = LARGE, keep: bool = True) -> None:
    """Compare gradients first, then time and memory, each run in a process of its own."""
    difference = run_case(_case("compare"), pairs=pairs)
    print("  relative difference: " + ", ".join(f"{name} {value:.1e}" for name, value in difference.items()))
    comparisons = {}
    for objective in ("info_nce", "siglip"):
        cases = {side: _case(f"{side}_{objective}") for side in ("open_clip", "vlcore")}
        if objective == "siglip":
            cases["chunked"] = _case("chunked_siglip")
        runs = interleaved(cases, repeats, pairs=pairs)
        speed = ratio(runs, "open_clip", "vlcore")
        peaks = {side: max(run["peak_extra_mib"] for run in runs[side]) for side in cases}
        saved = {side: runs[side][0]["saved_mib"] for side in cases}
        comparisons[objective] = {
            "speedup": speed,
            "peak_extra_mib": peaks,
            "memory_ratio": {side: peaks[side] / peaks["vlcore"] for side in cases if side != "vlcore"},
            "saved_mib": saved,
            "runs": runs,
        }
        print(f"  {objective}, {pairs:,} pairs: {speed['median']:.2f} x faster, takes {1 / speed['median']:.2f} of")
        print(f"    peak extra MiB {peaks}, kept for backward {saved}")
    big = {objective: run_case(_case(f"vlcore_{objective}"), pairs=large) for objective in ("info_nce", "siglip")}
    for objective, run in big.items():
        print(f"  {objective}, {large:,} pairs: {run['seconds']:.0f} s, peak {run['peak_extra_mib']:.0f} MiB extra")
    if keep:
        save(
            "contrastive_loss",
            {"pairs": pairs, "size": SIZE, "difference": difference, "objectives": comparisons}
            | {"large": {"pairs": large, **big}},
        )


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--small"]):
        raise SystemExit("usage: python -m benchmarks.contrastive_loss [--small]")
    if sys.argv[1:]:
        main(repeats=1, pairs=2048, large=3000, keep=False)
    else:
        main()
