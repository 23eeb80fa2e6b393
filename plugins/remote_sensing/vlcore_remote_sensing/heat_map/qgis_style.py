"""Colours of a heat map in QGIS."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import NDArray

COLOURS = "inferno"
"""Name of the colour map, here and in previews: even steps for every eye, dark where little fits."""

_STEPS = 9

_STYLE = """<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22" styleCategories="Symbology" hasScaleBasedVisibilityFlag="0">
  <pipe>
    <rasterrenderer type="singlebandpseudocolor" band="1" opacity="0.7" classificationMin="{low}" \
classificationMax="{high}" alphaBand="-1" nodataColor="">
      <rasterTransparency/>
      <minMaxOrigin>
        <limits>CumulativeCut</limits>
        <extent>WholeRaster</extent>
        <statAccuracy>Exact</statAccuracy>
        <cumulativeCutLower>0.02</cumulativeCutLower>
        <cumulativeCutUpper>0.98</cumulativeCutUpper>
      </minMaxOrigin>
      <rastershader>
        <colorrampshader colorRampType="INTERPOLATED" classificationMode="1" clip="0" minimumValue="{low}" \
maximumValue="{high}" labelPrecision="3">
{items}
        </colorrampshader>
      </rastershader>
    </rasterrenderer>
    <brightnesscontrast brightness="0" contrast="0" gamma="1"/>
    <huesaturation saturation="0" grayscaleMode="0" colorizeOn="0"/>
    <rasterresampler zoomedInResampler="bilinear" zoomedOutResampler="bilinear" maxOversampling="2"/>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
"""


def qgis_style(values: NDArray[np.float32]) -> str:
    """Text of a `.qml` file for a band `[rows, columns]`, from its 2nd to its 98th percentile."""
    low, high = (float(value) for value in np.nanpercentile(values, (2, 98)))
    places = np.linspace(low, high, _STEPS)
    shades = colormaps[COLOURS](np.linspace(0, 1, _STEPS))
    items = "\n".join(
        f'          <item value="{place:.6g}" label="{place:.3f}" color="{to_hex(shade)}" alpha="255"/>'
        for place, shade in zip(places, shades, strict=True)
    )
    return _STYLE.format(low=f"{low:.6g}", high=f"{high:.6g}", items=items)
