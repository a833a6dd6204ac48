"""Regions of interest: `sources` make masks, `masking` finds a participant's regions with them."""

from bidsface.regions.source import Earlier, Mask, RegionSource
from bidsface.regions.sources import HOST_SOURCES

__all__ = ["HOST_SOURCES", "Earlier", "Mask", "RegionSource"]
