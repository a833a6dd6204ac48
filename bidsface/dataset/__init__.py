"""Finding the files of a run in BIDS data sets.

`dataset` opens the data sets and hands out each participant's files. It leans on `roots` (which
data sets), `selection`, `filters` and `spaces` (which runs), `indexing` (the only importer of
pybids), `matching` (what belongs to a run), `sidecars` (metadata) and `annex` (content that is not
there).
"""

from bidsface.dataset.dataset import Dataset, file_state, open_dataset

__all__ = ["Dataset", "file_state", "open_dataset"]
