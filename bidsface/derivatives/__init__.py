"""The output folder, a BIDS derivative data set: the only writer of results, and their reader.

`folder` is the entry. Results become files in `staging` and `artifacts` (named by `names`, encoded
by `maps` and `tables`); `receipts` record what each of the `units` of work read and wrote;
`locks` keep processes apart; `description` and `citations` describe the whole.
"""

from bidsface.derivatives.folder import OutputFolder
from bidsface.derivatives.units import Provenance, Unit

__all__ = ["OutputFolder", "Provenance", "Unit"]
