"""`vlcore medical ingest`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal


def ingest(
    folder: Path,
    output: Path,
    salt: Path | None = None,
    on_unmarked: Literal["raise", "skip", "accept"] = "raise",
    on_bad_file: Literal["raise", "skip"] = "raise",
    ct_window: str | None = None,
    size: int = 1024,
) -> None:
    """Turn DICOM files into a table of studies with previews that vlcore can align, index and search.

    Identifiers become pseudonyms, dates become days, nothing else of a person is written. The output appears whole or
    not at all; interrupted, run it again.

    Examples:
        vlcore medical ingest scans/ -o scans.studies
        vlcore medical ingest scans.zip -o scans.studies --on-unmarked skip --ct-window lung
        vlcore index runs/model scans.studies -o scans.index --reader medical/dicom_folder

    Args:
        folder: folder of DICOM files at any depth, or a zip archive of them.
        output: folder of studies.parquet, previews and privacy report; one written before is replaced.
        salt: secret file that pseudonyms are made with; by default pseudonyms.salt beside the output, made if needed.
        on_unmarked: files that do not say they are de-identified: stop, leave them out (counted), or take them.
        on_bad_file: images that cannot be read: stop, or leave them out (counted).
        ct_window: abdomen, bone, brain, liver, lung, mediastinum, soft tissue, spine, stroke, subdural or temporal
            bone, for images in Hounsfield units; the file's own window if left out.
        size: longest side of a preview in pixels.
    """
    from vlcore_medical.dicom.ingest import ingest_collection
    from vlcore_medical.dicom.pseudonyms import load_pseudonyms

    done = ingest_collection(
        folder,
        output,
        load_pseudonyms(salt or output.parent / "pseudonyms.salt"),
        on_unmarked=on_unmarked,
        on_bad_file=on_bad_file,
        ct_window=ct_window,
        size=size,
        progress=True,
    )
    print(
        f"{output}: {done.rows:,} images of {done.studies:,} studies and {done.patients:,} patients; left out: "
        f"{done.privacy.left_out:,} without a mark of de-identification, {done.bad:,} bad, {done.repeated:,} "
        f"repeated, {done.without_pixels:,} without pixels, {done.other:,} other files"
    )
    if done.warnings:
        print(f"warnings: {', '.join(f'{name} {count:,}' for name, count in sorted(done.warnings.items()))}")
    for sentence in done.privacy.warnings():
        print(sentence, file=sys.stderr)
