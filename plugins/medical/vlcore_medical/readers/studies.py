"""Studies of patients: what stands together in a study, and which study came before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exposure:
    """One image of a study.

    Attributes:
        image: its name.
        patient: whose it is.
        study: which it belongs to.
        time: any numbers that put a patient's studies in order; None where the source does not say.
    """

    image: str
    patient: str
    study: str
    time: tuple[float, ...] | None


class Studies:
    """Finds the other images of a study, and the study before it.

    Args:
        exposures: of all patients, in any order.
    """

    def __init__(self, exposures: Iterable[Exposure]) -> None:
        self._images: defaultdict[str, list[str]] = defaultdict(list)
        times: defaultdict[str, dict[str, tuple[float, ...]]] = defaultdict(dict)
        for one in exposures:
            self._images[one.study].append(one.image)
            if one.time is not None:
                # The images of a study are taken one after another: the first one dates it.
                times[one.patient][one.study] = min(one.time, times[one.patient].get(one.study, one.time))
        self._prior = {study: prior for known in times.values() for study, prior in _priors(known).items()}

    def images(self, study: str) -> list[str]:
        """Names of all images of a study, in the order of the source."""
        return self._images[study]

    def prior(self, study: str) -> str | None:
        """The latest study of the same patient that was taken before; None if there is none or no time is known."""
        return self._prior.get(study)


def _priors(times: Mapping[str, tuple[float, ...]]) -> dict[str, str]:
    """Studies of one patient with the one before; of two at the same time neither is before the other."""
    found: dict[str, str] = {}
    order = sorted(times, key=lambda study: times[study])
    for place, study in enumerate(order):
        earlier = [other for other in order[:place] if times[other] < times[study]]
        if earlier:
            found[study] = earlier[-1]
    return found
