"""One participant's data, read when first asked for.

`preparation` decides what of every run is used, before its volumes are read; `participant` reads
and cleans them run by run; `overview` and `methods` tell what was done.
"""

from bidsface.participant.participant import LoadedParticipant

__all__ = ["LoadedParticipant"]
