"""Regions of interest: `sources` make masks, `masking` finds a participant's regions with them."""

from bidsface.regions.sources import HOST_SOURCES, RegionSource

__all__ = ["HOST_SOURCES", "RegionSource"]
