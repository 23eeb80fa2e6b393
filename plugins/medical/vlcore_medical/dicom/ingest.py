"""From a collection of DICOM files to a study table with previews, behind a gate for privacy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vlcore.data.progress import track
from vlcore.errors import ConfigurationError, ManifestError, Problem, UnknownNameError
from vlcore.files import write_text
from vlcore.hub.whole_folder import whole_folder
from vlcore_medical.dicom.collection import open_collection
from vlcore_medical.dicom.gate import sort_by_mark
from vlcore_medical.dicom.previews import FOLDER_NAME, Previews
from vlcore_medical.dicom.privacy_report import PrivacyReport
from vlcore_medical.dicom.pseudonyms import Pseudonyms
from vlcore_medical.dicom.study_table import FILE_NAME, table_rows, write_study_table
from vlcore_medical.dicom.window import CT_WINDOWS

REPORTS = ("privacy.json", "privacy.txt")


@dataclass
class Ingested:
    """What became of the files of a collection.

    Attributes:
        rows: images in the table.
        patients: different ones.
        studies: different ones.
        repeated: files with the very bytes of another one, left out.
        other: files that are not DICOM, left out.
        without_pixels: DICOM objects that are no images, such as reports, left out.
        bad: images that cannot be read, left out.
        warnings: rows by warning.
        privacy: what was found of identities.
    """

    rows: int = 0
    patients: int = 0
    studies: int = 0
    repeated: int = 0
    other: int = 0
    without_pixels: int = 0
    bad: int = 0
    warnings: Counter[str] = field(default_factory=Counter)
    privacy: PrivacyReport = field(default_factory=PrivacyReport)


def ingest_collection(
    source: Path,
    output: Path,
    pseudonyms: Pseudonyms,
    on_unmarked: Literal["raise", "skip", "accept"] = "raise",
    on_bad_file: Literal["raise", "skip"] = "raise",
    ct_window: str | None = None,
    size: int = 1024,
    progress: bool = False,
) -> Ingested:
    """Write a folder of `studies.parquet`, `previews/*.png`, `privacy.json` and `privacy.txt`, whole or not at all.

    Args:
        source: folder or zip archive.
        output: folder to write; one that was written before is replaced.
        pseudonyms: of the project.
        on_unmarked: what to do about files that do not say they are de-identified.
        on_bad_file: what to do about images that cannot be read or rendered.
        ct_window: name of a window for images in Hounsfield units; without it, the file's own first view.
        size: longest side of a preview in pixels.
        progress: show a bar.

    Returns:
        Counts of everything taken and left out.

    Raises:
        ConfigurationError: if the source is no collection, holds no image to take, or the output would replace it.
        ManifestError: listing unmarked and bad files, unless they are to be skipped.
        UnsafePathError: if a file's name leads out of the collection.
        UnknownNameError: if no CT window has that name.
        MissingDependencyError: if a transfer syntax needs a library that is not installed.
    """
    _check(source, output, ct_window, size)
    with open_collection(source) as collection:
        with track(len(collection.names), "reading headers", progress) as advance:
            files = sort_by_mark(collection, advance)
        _stop(source, files.unmarked if on_unmarked == "raise" else [], files.bad if on_bad_file == "raise" else [])
        accepted = [problem.place for problem in files.unmarked] if on_unmarked == "accept" else []
        names = sorted([*files.marked, *accepted])
        done = Ingested(other=files.other, without_pixels=files.without_pixels, bad=len(files.bad))
        done.privacy.left_out = len(files.unmarked) - len(accepted)
        with whole_folder(output, (FILE_NAME, FOLDER_NAME, *REPORTS)) as folder:
            previews = Previews(folder, pseudonyms, ct_window, size, done.privacy)
            with track(len(names), "rendering images", progress) as advance:
                for name in names:
                    previews.add(collection, name)
                    advance(1)
            _stop(source, [], previews.bad if on_bad_file == "raise" else [])
            done.bad += len(previews.bad)
            done.repeated = previews.repeated
            if not previews.images:
                raise ConfigurationError(
                    f"{source} holds no image to take: {done.other:,} other files, {done.without_pixels:,} DICOM "
                    f"objects without pixels, {done.privacy.left_out:,} without a mark of de-identification, "
                    f"{done.bad:,} that cannot be read. Give another folder, or choose what to do about these."
                )
            rows = table_rows(list(previews.images.values()))
            write_study_table(folder / FILE_NAME, rows)
            write_text(folder / REPORTS[0], done.privacy.json())
            write_text(folder / REPORTS[1], done.privacy.text())
    done.rows = len(rows)
    done.patients, done.studies = (len({row[name] for row in rows}) for name in ("patient", "study"))
    done.warnings = Counter(warning for row in rows for warning in row["warnings"])
    return done


def _check(source: Path, output: Path, ct_window: str | None, size: int) -> None:
    """What can be refused before anything is read."""
    if output.exists() and not output.is_dir():
        raise ConfigurationError(f"{output} is a file. Give a folder for the output.")
    if source.resolve().is_relative_to(output.resolve()):
        raise ConfigurationError(f"The output {output} holds the source {source}. Give another folder.")
    if ct_window is not None and ct_window not in CT_WINDOWS:
        raise UnknownNameError("CT window", ct_window, CT_WINDOWS)
    if size < 1:
        raise ConfigurationError(f"size={size} must be at least 1 pixel.")


def _stop(source: Path, unmarked: list[Problem], bad: list[Problem]) -> None:
    if problems := [*unmarked, *bad]:
        raise ManifestError(source, sorted(problems, key=lambda problem: problem.place))
