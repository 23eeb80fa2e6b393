"""`vlcore replay`: look into a training step that was not taken."""

from __future__ import annotations

from pathlib import Path

from vlcore.cli.console import print_table

SHOWN = 10
"""Names of each kind that are listed."""


def replay(folder: Path, device: str = "cpu") -> int:
    """Run a captured training step again and say where its first NaN or infinity comes from.

    A run that meets NaN or infinite gradients stops before the step and names the folder.

    Examples:
        vlcore replay runs/flickr8k_heads/captures/step_00000123
        vlcore replay runs/flickr8k_heads/captures/step_00000123 --device cuda

    Args:
        folder: of the captured step.
        device: to run on; take the run's own where its kernels may be the cause.

    Returns:
        0 if the step is not finite again, 1 if all its values are finite here.
    """
    from vlcore.tasks.replay import replay as run

    found = run(folder, device=device)
    rows = (
        ("weights before the step", found.weights),
        ("inputs", found.inputs),
        ("first output that is not finite", [found.first_module] if found.first_module else []),
        ("embeddings", found.embeddings),
        ("loss", [f"{found.loss:g} at a scale of {found.logit_scale:g}"]),
        ("first derivative that is not finite", [found.operation] if found.operation else []),
        ("gradients", found.gradients),
    )
    print_table(("looked at", "found"), [(name, _shown(values)) for name, values in rows])
    if found.reproduced:
        print("The step is not finite again; the first line that is not 'all finite' is where to look.")
        return 0
    print(
        "All values are finite here. The run's device or kernels differ (try --device), or the towers' weights on "
        "disk changed since."
    )
    return 1


def _shown(values: list[str]) -> str:
    more = f"\n… and {len(values) - SHOWN:,} more" if len(values) > SHOWN else ""
    return "\n".join(values[:SHOWN]) + more or "all finite"
