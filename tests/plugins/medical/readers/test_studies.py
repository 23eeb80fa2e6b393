"""Studies, against a slow search over all pairs."""

from __future__ import annotations

import random

from vlcore_medical.readers.studies import Exposure, Studies


def test_the_prior_study_is_the_latest_one_before() -> None:
    draw = random.Random(0)
    for _ in range(50):
        exposures = []
        for number, study in enumerate(draw.choices(range(12), k=30)):
            taken = draw.choice([None, (draw.randrange(4), draw.randrange(4))])
            exposures.append(Exposure(f"i{number}", f"p{study % 3}", f"s{study}", taken))
        times = {
            study: min((one.time for one in exposures if one.study == study and one.time is not None), default=None)
            for study in {one.study for one in exposures}
        }
        patients = {one.study: one.patient for one in exposures}
        studies = Studies(exposures)
        for study, time in times.items():
            before = [
                other
                for other, when in times.items()
                if patients[other] == patients[study] and when is not None and time is not None and when < time
            ]
            if latest := max((times[other] for other in before), default=None):
                assert studies.prior(study) in [other for other in before if times[other] == latest]
            else:
                assert studies.prior(study) is None
            assert studies.images(study) == [one.image for one in exposures if one.study == study]
