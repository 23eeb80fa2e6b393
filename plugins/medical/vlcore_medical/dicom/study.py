"""What the study table keeps of one image: pseudonyms, coded values and numbers, and nothing else of the header."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import UID

from vlcore_medical.dicom.attributes import functional_group, items, number
from vlcore_medical.dicom.image import DicomImage, placed, quiet
from vlcore_medical.dicom.privacy import answer
from vlcore_medical.dicom.pseudonyms import Pseudonyms
from vlcore_medical.dicom.stored_pixels import frame_count

VIEW_CODES = {
    "postero-anterior": "PA",
    "antero-posterior": "AP",
    "left lateral": "LL",
    "right lateral": "RL",
    "lateral": "LATERAL",
    "cranio-caudal": "CC",
    "medio-lateral oblique": "MLO",
}
"""Meanings of the codes of PS3.16 CID 4010 and 4014 by the View Position they say."""


@dataclass(slots=True)
class StudyImage:
    """One row of the study table, and what orders the rows and is not written.

    Attributes:
        id: pseudonym of the file's content.
        patient: pseudonym; the study's own where the file names no patient.
        study: pseudonym.
        series: pseudonym.
        instance: pseudonym.
        modality: such as CT; empty where the file does not say, as all coded values.
        view: View Position, or that of the View Code Sequence.
        laterality: L, R, B or U; empty where tags contradict each other.
        body_part: Body Part Examined.
        rows: height in pixels.
        columns: width in pixels.
        frames: number of frames.
        frame: that the preview shows, the middle one.
        photometric: Photometric Interpretation.
        transfer_syntax: name of the standard.
        burned_in: whether there is writing in the pixels; None where the file does not say.
        warnings: what is doubtful, from a fixed list of words.
        moment: date and time of the study; only for order, as the next two.
        series_number: of the series in its study.
        instance_number: of the image in its series.
    """

    id: str
    patient: str
    study: str
    series: str
    instance: str
    modality: str
    view: str
    laterality: str
    body_part: str
    rows: int
    columns: int
    frames: int
    frame: int
    photometric: str
    transfer_syntax: str
    burned_in: bool | None
    warnings: list[str]
    moment: datetime | None
    series_number: int
    instance_number: int


def describe(image: DicomImage, digest: str, pseudonyms: Pseudonyms) -> StudyImage:
    """Take from a header what the study table keeps.

    Args:
        image: the pixels are not needed.
        digest: of the file's bytes, for its id.
        pseudonyms: of the project.

    Raises:
        DicomError: if a number of the header is none.
    """
    dataset, warnings = image.dataset, ["header_out_of_standard"] * bool(image.notes)
    with placed(image), quiet():
        frames = frame_count(dataset)
        ids = {level: str(dataset.get(f"{level}InstanceUID") or "") for level in ("Study", "Series", "SOP")}
        warnings += [f"no_{level.lower()}_uid" for level, uid in ids.items() if not uid]
        study = pseudonyms.of("study", ids["Study"] or digest)
        burned_in = answer(dataset, "BurnedInAnnotation")
        if burned_in == "yes":
            warnings.append("burned_in_annotation")
        if answer(dataset, "RecognizableVisualFeatures") == "yes":
            warnings.append("recognizable_visual_features")
        return StudyImage(
            id=pseudonyms.of("file", digest),
            patient=_patient(dataset, pseudonyms, warnings) or study,
            study=study,
            series=pseudonyms.of("series", ids["Series"] or digest),
            instance=pseudonyms.of("instance", ids["SOP"] or digest),
            modality=_code(dataset, "Modality", warnings),
            view=_view(dataset, warnings),
            laterality=_laterality(dataset, frames // 2, warnings),
            body_part=_code(dataset, "BodyPartExamined", warnings),
            rows=int(number(dataset, "Rows", 0)),
            columns=int(number(dataset, "Columns", 0)),
            frames=frames,
            frame=frames // 2,
            photometric=_photometric(dataset, warnings),
            transfer_syntax=_syntax(dataset),
            burned_in={"yes": True, "no": False}.get(burned_in),
            warnings=warnings,
            moment=_moment(dataset, warnings),
            series_number=int(number(dataset, "SeriesNumber", 0)),
            instance_number=int(number(dataset, "InstanceNumber", 0)),
        )


def _patient(dataset: Dataset, pseudonyms: Pseudonyms, warnings: list[str]) -> str:
    patient = str(dataset.get("PatientID") or "").strip()
    if not patient:
        warnings.append("no_patient_id")
        return ""
    # Two hospitals may give one number to two people.
    return pseudonyms.of("patient", f"{dataset.get('IssuerOfPatientID') or ''}\0{patient}")


def _code(dataset: Dataset, keyword: str, warnings: list[str]) -> str:
    """A Code String (PS3.5 6.2); anything else could be free text and is not kept."""
    value = str(dataset.get(keyword) or "").strip()
    if re.fullmatch("[A-Z0-9 _]{0,16}", value):
        return value
    warnings.append("code_refused")
    return ""


def _photometric(dataset: Dataset, warnings: list[str]) -> str:
    value = _code(dataset, "PhotometricInterpretation", warnings)
    contradiction = {"MONOCHROME1": "IDENTITY", "MONOCHROME2": "INVERSE"}
    if dataset.get("PresentationLUTShape", "") == contradiction.get(value):
        warnings.append("polarity_conflict")
    return value


def _view(dataset: Dataset, warnings: list[str]) -> str:
    said = _code(dataset, "ViewPosition", warnings)
    meanings = [str(item.get("CodeMeaning") or "").lower() for item in items(dataset, "ViewCodeSequence")]
    coded = next((VIEW_CODES[meaning] for meaning in meanings if meaning in VIEW_CODES), "")
    lateral = ("LATERAL", "LL", "RL")
    if said and coded and said != coded and not (said in lateral and coded in lateral and "LATERAL" in (said, coded)):
        warnings.append("view_conflict")
        return ""
    return said or coded


def _laterality(dataset: Dataset, frame: int, warnings: list[str]) -> str:
    anatomy = functional_group(dataset, frame, "FrameAnatomySequence")
    said = {
        str(holder.get(keyword) or "").strip().upper()
        for holder, keyword in ((dataset, "Laterality"), (dataset, "ImageLaterality"), (anatomy, "FrameLaterality"))
    }
    sides = said & {"L", "R", "B", "U"}
    if said - sides - {""}:
        warnings.append("code_refused")
    if len(sides) > 1:
        warnings.append("laterality_conflict")
    return sides.pop() if len(sides) == 1 else ""


def _syntax(dataset: Dataset) -> str:
    syntax = UID(dataset.file_meta.get("TransferSyntaxUID") or "")
    return "private" if syntax.name == syntax else syntax.name


def _moment(dataset: Dataset, warnings: list[str]) -> datetime | None:
    for name in ("Study", "Series", "Acquisition", "Content"):
        # Old files write the date with dots; a time may stop after the hour, or go on with a fraction.
        date = str(dataset.get(f"{name}Date") or "").replace(".", "")
        time = re.sub(r"[:\s]|\..*", "", str(dataset.get(f"{name}Time") or ""))
        try:
            day = datetime.strptime(date, "%Y%m%d")
        except ValueError:
            continue
        try:
            return datetime.strptime(date + f"{time:0<6}", "%Y%m%d%H%M%S")
        except ValueError:
            return day
    warnings.append("no_date")
    return None
