"""Previews of images as PNG files under their pseudonyms."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from PIL import Image

from vlcore.errors import Problem
from vlcore_medical.dicom.collection import Collection
from vlcore_medical.dicom.gate import UNREADABLE, unreadable
from vlcore_medical.dicom.image import open_dicom
from vlcore_medical.dicom.modality import value_unit
from vlcore_medical.dicom.privacy_report import PrivacyReport
from vlcore_medical.dicom.pseudonyms import Pseudonyms
from vlcore_medical.dicom.render import render
from vlcore_medical.dicom.study import StudyImage, describe

FOLDER_NAME = "previews"


class Previews:
    """Renders files one by one and keeps what the study table needs of them.

    Args:
        folder: that gets the folder of previews.
        pseudonyms: of the project.
        ct_window: name of a window for images in Hounsfield units; without it, the file's own first view.
        size: longest side of a preview in pixels.
        report: counts what is taken.

    Attributes:
        images: by id.
        bad: files that cannot be read or rendered.
        repeated: number of files with the very bytes of another one.
    """

    def __init__(
        self, folder: Path, pseudonyms: Pseudonyms, ct_window: str | None, size: int, report: PrivacyReport
    ) -> None:
        self.folder = folder / FOLDER_NAME
        self.folder.mkdir()
        self.pseudonyms = pseudonyms
        self.ct_window = ct_window
        self.size = size
        self.report = report
        self.images: dict[str, StudyImage] = {}
        self.bad: list[Problem] = []
        self.repeated = 0

    def add(self, collection: Collection, name: str) -> None:
        """Render a file.

        Raises:
            MissingDependencyError: if its transfer syntax needs a library that is not installed.
        """
        try:
            with collection.open(name) as handle:
                data = handle.read()
            image = open_dicom(io.BytesIO(data), name)
            row = describe(image, hashlib.sha256(data).hexdigest(), self.pseudonyms)
            if row.id in self.images:
                self.repeated += 1
                return
            window = self.ct_window if self.ct_window and value_unit(image.dataset, row.frame) == "HU" else 0
            picture = Image.fromarray(render(image, row.frame, window))
        except UNREADABLE as error:
            self.bad.append(unreadable(name, error))
            return
        picture.thumbnail((self.size, self.size), Image.Resampling.LANCZOS)
        picture.save(self.folder / f"{row.id}.png")
        self.images[row.id] = row
        self.report.add(image.dataset)
