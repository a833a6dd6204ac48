"""bidsface: a BIDS App for the neuroscience of facial expression."""

from importlib.metadata import version

__version__ = version("bidsface")
