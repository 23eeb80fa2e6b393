"""`vlcore demo`."""

from __future__ import annotations

from pathlib import Path


def demo(
    output: Path = Path("runs/demo"), data: Path | None = None, lang: str | None = None, reader: str | None = None
) -> None:
    """Align, evaluate and report on a corpus that vlcore renders itself, or on your own manifest.

    Examples:
        vlcore demo
        vlcore demo --data captions.jsonl --lang en -o runs/mine

    Args:
        output: run folder: metrics.json, report.html, model/ and the rendered corpus.
        data: manifest of captioned images; the rendered corpus if left out.
        lang: keep the captions of this language only.
        reader: a plugin's reader for your data, such as remote_sensing/karpathy; see `vlcore plugins`.
    """
    from vlcore.cli.align import print_alignment, print_next
    from vlcore.demo.run import run_demo

    alignment, manifest = run_demo(output, data, lang=lang, reader=reader)
    print_alignment(alignment)
    print(f"Metrics: {output / 'metrics.json'}")
    print_next(alignment, manifest)
