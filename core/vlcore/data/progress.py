"""One progress bar for all long work: count, rate and time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


@contextmanager
def track(total: int | None, description: str, enabled: bool = True) -> Iterator[Callable[[int], None]]:
    """Show the progress of a loop; the body calls what is yielded with the number of finished steps.

    The bar goes to standard error, so that standard output stays clean for results. Where that is no terminal and
    no notebook (a log file, a pipe), one line with count, seconds and rate is printed at the end instead.

    Args:
        total: number of steps, or None where it is not known.
        description: what is being done: `encoding images`.
        enabled: False shows nothing.

    Yields:
        A function that adds finished steps.
    """
    if not enabled:
        yield lambda steps: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal or console.is_jupyter:
        with _bar(console) as bar:
            task = bar.add_task(description, total=total)
            yield lambda steps: bar.advance(task, steps)
        return
    done = 0

    def advance(steps: int) -> None:
        nonlocal done
        done += steps

    start = time.monotonic()
    yield advance
    seconds = time.monotonic() - start
    of_total = "" if total in (None, done) else f" of {total:,}"
    console.print(
        f"{description}: {done:,}{of_total} in {seconds:.1f} s ({done / max(seconds, 1e-9):,.0f}/s)", highlight=False
    )


def _bar(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps per second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=console,
    )
