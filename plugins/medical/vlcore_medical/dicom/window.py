"""Windows: which grey values are spread from black to white (PS3.3 C.11.2.1.2 and C.11.2.1.3).

Own code: the windowing of pydicom 3.0 turns the picture over where the rescale slope is negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vlcore_medical.dicom.image import DicomValueError


@dataclass(frozen=True, slots=True)
class Window:
    """A window of a VOI LUT function.

    Attributes:
        center: middle of the window, in the unit of the values.
        width: of the window, in the same unit.
        function: LINEAR, LINEAR_EXACT or SIGMOID.
        explanation: of the file, such as BONE.

    Raises:
        DicomValueError: if the width is below 1 (LINEAR) or not above 0, or the function is another.
    """

    center: float
    width: float
    function: str = "LINEAR"
    explanation: str = ""

    FUNCTIONS: ClassVar[tuple[str, ...]] = ("LINEAR", "LINEAR_EXACT", "SIGMOID")

    def __post_init__(self) -> None:
        if self.function not in self.FUNCTIONS:
            raise DicomValueError(f"VOILUTFunction is {self.function!r:.40}. It must be {', '.join(self.FUNCTIONS)}.")
        if self.width < 1 if self.function == "LINEAR" else self.width <= 0:
            least = "at least 1" if self.function == "LINEAR" else "more than 0"
            raise DicomValueError(
                f"the window width is {self.width:g}. It must be {least} for {self.function}; "
                f"give a window of your own, such as window=(40, 400)."
            )

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Brightness from 0 to 1 of values, any shape."""
        if self.function == "SIGMOID":
            # The exponent is bounded where the brightness is 0 or 1 to the last bit anyway.
            return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - self.center) / self.width, -700, 700))))
        center, width = self.center, self.width
        if self.function == "LINEAR":
            center, width = center - 0.5, width - 1
        if width == 0:
            return (values > center).astype(np.float64)
        return np.clip((values - center) / width + 0.5, 0, 1)


CT_WINDOWS = {
    "abdomen": Window(50, 400),
    "bone": Window(400, 1800),
    "brain": Window(40, 80),
    "liver": Window(30, 150),
    "lung": Window(-600, 1500),
    "mediastinum": Window(50, 350),
    "soft tissue": Window(40, 400),
    "spine": Window(50, 250),
    "stroke": Window(40, 40),
    "subdural": Window(75, 215),
    "temporal bone": Window(600, 2800),
}
"""Windows in Hounsfield units as radiology textbooks give them; departments differ by some tens of units."""
