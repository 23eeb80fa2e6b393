"""Small data sets in TorchGeo's form, in a module of their own so that a YAML file can name them."""

from __future__ import annotations

import torch

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220), "white": (245, 245, 245)}


class Colours(torch.utils.data.Dataset):
    """Samples as TorchGeo gives 8-bit images: float32 from 0 to 255, `[C, H, W]`, with a caption."""

    def __init__(self, count=16, **changes):
        self.count, self.changes = count, changes

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        name = list(COLOURS)[index % 4]
        noise = torch.rand(3, 12, 10, generator=torch.Generator().manual_seed(index)) * 9
        image = torch.tensor(COLOURS[name], dtype=torch.float32)[:, None, None] + noise
        return {"image": image, "caption": f"a  {name} square .", "crs": None, **self.changes.get(f"at_{index}", {})}


class LabelledSentinel(Colours):
    """Thirteen bands of reflectance times 10,000 and a label, as EuroSAT gives."""

    def __getitem__(self, index):
        bands = torch.zeros(13, 12, 10)
        rgb = super().__getitem__(index)["image"]
        bands[[3, 2, 1]] = rgb / 255 * 3000
        bands[12] = torch.nan  # an unused band does not matter
        return {"image": bands, "label": torch.tensor(index % 4)}
