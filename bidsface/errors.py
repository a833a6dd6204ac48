"""Errors that a user can mend; everything else is a defect and keeps its traceback."""


class BidsfaceError(Exception):
    """A handled error: its one-line message names what was wanted and what was found."""


class InputError(BidsfaceError):
    """The data, or a file of it, is not what the run asked for."""


class RecipeError(BidsfaceError):
    """The recipe, or an override of it, is not valid."""


class PluginError(BidsfaceError):
    """A plugin could not be used: a misspelled hook or a name that is taken."""


class UsageError(BidsfaceError):
    """The command line asks for something that does not exist or cannot be done."""


class ExecutionError(BidsfaceError):
    """The machinery that runs the work failed: a worker was killed, say."""
