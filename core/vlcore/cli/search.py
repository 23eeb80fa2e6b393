"""`vlcore search`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vlcore.errors import ConfigurationError

if TYPE_CHECKING:
    from vlcore.retrieval.hit import Hit


def search(
    index: Path,
    query: str | None = None,
    image: Path | None = None,
    model: Path | None = None,
    k: int = 10,
    where: str | None = None,
    format: Literal["table", "json", "csv", "html"] = "table",
    output: Path | None = None,
    exact: bool = False,
    rerank: Path | None = None,
    rerank_top: int = 16,
    rerank_weight: float = 0.02,
    device: str | None = None,
) -> None:
    """Find images by words, or by an image.

    Examples:
        vlcore search photos.index "two dogs in the snow" -k 5 --where "split = 'test'"
        vlcore search photos.index --image query.jpg --format html -o hits.html
        vlcore search photos.index "two dogs in the snow" --rerank runs/albef_tiny/model

    Args:
        index: folder that `vlcore index` wrote.
        query: words to search by.
        image: image file to search by, in place of words.
        model: model directory; the one the index was made with if left out.
        k: number of images.
        where: SQL condition over the index's columns.
        format: table to read (csv in a file), json or csv for programs, html to look at.
        output: file to write; standard output if left out.
        exact: compare with every image even where the index is large enough for approximate search.
        rerank: model directory of a fusion model; it reads words and image together and puts the first hits in order.
        rerank_top: hits that it reads; no fewer than k.
        rerank_weight: of its log-odds beside the cosine; large values order by them alone.
        device: cuda, mps or cpu; chosen if left out.
    """
    from vlcore.files import write_text
    from vlcore.retrieval.hit_formats import as_csv, as_html, as_json
    from vlcore.retrieval.index import Index
    from vlcore.retrieval.model import load
    from vlcore.retrieval.rerank import Reranker

    if (query is None) == (image is None):
        raise ConfigurationError('Give either words, vlcore search INDEX "two dogs", or a file, --image query.jpg.')
    if rerank is not None and query is None:
        raise ConfigurationError("--rerank reads words and images together: search by words, not by --image.")
    opened = Index.open(index)
    loaded = load(opened.require_model_path() if model is None else model, device)
    opened = Index.open(index, loaded)
    vector = loaded.embed_texts([query])[0] if query is not None else loaded.embed_images([image or ""])[0]
    if rerank is None or query is None:
        hits = opened.search(vector, k, where, exact=exact)
    else:
        first = opened.search(vector, max(k, rerank_top), where, exact=exact)
        hits = Reranker.load(rerank, device).reorder(query, first, k, rerank_weight)
    title = query or str(image)
    if format == "table" and output is None:
        _print_table(hits, title)
        return
    text = {
        "table": lambda: as_csv(hits),
        "json": lambda: as_json(hits),
        "csv": lambda: as_csv(hits),
        "html": lambda: as_html(hits, title, where),
    }[format]()
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)
        print(f"{output}: {len(hits)} hits")


def _print_table(hits: Sequence[Hit], title: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"Nearest to {title}"), title_justify="left")
    for name in ("", "score", "id", "image", "text"):
        table.add_column(name, justify="right" if name in ("", "score") else "left", overflow="fold")
    for rank, hit in enumerate(hits, start=1):
        # Text: ids and captions are shown as they are, not read as rich's markup.
        cells = (str(rank), f"{hit.score:.3f}", hit.id, str(hit.image), hit.texts[0] if hit.texts else "")
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)
