"""`vlcore medical report`."""

from __future__ import annotations

from pathlib import Path

from vlcore.cli.console import Format


def report(
    image: Path,
    *,
    model: Path,
    beams: int = 3,
    frame: int = 0,
    ct_window: str | None = None,
    format: Format = "table",
) -> None:
    """Write a report of an image, which may be a DICOM file, with the findings that it states.

    Beside it stand the scores of the model on images that it never saw, and those of floors that look at nothing or
    only copy.

    Examples:
        vlcore medical report chest.dcm -m reports.model
        vlcore medical report chest.png -m reports.model --beams 1 --format json

    Args:
        image: DICOM file or picture; nothing of it is kept.
        model: directory that `vlcore medical fit-reports` wrote.
        beams: beginnings that the search keeps; 1 takes the most probable word each time.
        frame: of a DICOM file with several, from 0.
        ct_window: name of a window for DICOM images in Hounsfield units, such as lung; the file's own if left out.
        format: table to read, or json for programs.
    """
    from vlcore.cli.console import print_json
    from vlcore_medical.cli.measured import measured, print_measured
    from vlcore_medical.dicom.picture import read_picture
    from vlcore_medical.notice import RESEARCH_USE
    from vlcore_medical.reports.findings import find
    from vlcore_medical.tasks.reporting import Reporter

    reporter = Reporter.load(model)
    text = reporter.write(read_picture(image, frame, ct_window or 0), beams)
    stated = sorted(find(text).positive())
    if format == "json":
        facts = {"report": text, "findings": stated, **measured(reporter.card, model), "notice": RESEARCH_USE}
        print_json(facts)
        return
    print(text or "(no words)")
    print(f"\nFindings stated: {', '.join(stated) or 'none'}")
    print_measured(reporter.card, model)
