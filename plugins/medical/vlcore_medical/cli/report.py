"""`vlcore medical report`."""

from __future__ import annotations

from pathlib import Path

from vlcore.cli.console import Format


def report(
    images: list[str],
    *,
    model: Path,
    prior: list[str] | None = None,
    beams: int = 3,
    frame: int = 0,
    ct_window: str | None = None,
    format: Format = "table",
) -> None:
    """Write a report of an image, or of all images of a study, with the findings that it states.

    Beside it stand the scores of the model on images that it never saw, and those of floors that look at nothing or
    only copy.

    Examples:
        vlcore medical report chest.dcm -m reports.model
        vlcore medical report chest.png -m reports.model --beams 1 --format json
        vlcore medical report frontal.dcm lateral.dcm -m reports.model --prior last_year.dcm

    Args:
        images: DICOM files or pictures of one study; nothing of them is kept. One only where the model learned so.
        model: directory that `vlcore medical fit-reports` wrote.
        prior: images of the patient's study before, where the model learned to read them.
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
    current, before = (
        [read_picture(Path(image), frame, ct_window or 0) for image in side] for side in (images, prior or [])
    )
    text = reporter.write(*current, prior=before, beams=beams)
    stated = sorted(find(text).positive())
    if format == "json":
        facts = {"report": text, "findings": stated, **measured(reporter.card, model), "notice": RESEARCH_USE}
        print_json(facts)
        return
    print(text or "(no words)")
    print(f"\nFindings stated: {', '.join(stated) or 'none'}")
    print_measured(reporter.card, model)
