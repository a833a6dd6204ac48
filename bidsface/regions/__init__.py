"""Regions of interest: `sources` make masks, `masking` finds a participant's regions with them."""

from bidsface.regions.sources import HOST_SOURCES, Earlier, Mask, RegionSource

__all__ = ["HOST_SOURCES", "Earlier", "Mask", "RegionSource"]
