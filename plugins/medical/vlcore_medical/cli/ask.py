"""`vlcore medical ask`."""

from __future__ import annotations

from pathlib import Path

from vlcore.cli.console import Format


def ask(
    image: Path,
    question: str,
    *,
    model: Path,
    k: int = 3,
    frame: int = 0,
    ct_window: str | None = None,
    format: Format = "table",
    device: str | None = None,
) -> None:
    """Ask a question about an image, which may be a DICOM file.

    Beside the answers stand the accuracy of the model on images that it never saw, and that of the question alone:
    where the two are alike, the answer says little about this image.

    Examples:
        vlcore medical ask chest.dcm "is the heart enlarged?" -m answers.model
        vlcore medical ask chest.png "which organ is shown?" -m answers.model -k 5 --format json

    Args:
        image: DICOM file or picture; nothing of it is kept.
        question: in words.
        model: directory that `vlcore medical fit-answers`, or M3AE's fine-tuning, wrote.
        k: number of answers shown.
        frame: of a DICOM file with several, from 0.
        ct_window: name of a window for DICOM images in Hounsfield units, such as lung; the file's own if left out.
        format: table to read, or json for programs.
        device: cuda, mps or cpu; chosen if left out.
    """
    from vlcore.cli.console import print_json, print_table
    from vlcore_medical.cli.measured import measured, print_measured
    from vlcore_medical.dicom.picture import read_picture
    from vlcore_medical.notice import RESEARCH_USE
    from vlcore_medical.tasks.answering import Answerer

    answerer = Answerer.load(model, device)
    answers = answerer.ask(read_picture(image, frame, ct_window or 0), question, k)
    if format == "json":
        told = [{"answer": one.answer, "probability": round(one.probability, 6)} for one in answers]
        print_json({"question": question, "answers": told, **measured(answerer.card, model), "notice": RESEARCH_USE})
        return
    print_table(("answer", "probability"), [(one.answer, f"{one.probability:.3f}") for one in answers], question)
    print_measured(answerer.card, model)
