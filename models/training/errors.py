"""What can be wrong with a training run before it starts, said in one line."""


class TrainingError(Exception):
    """A run that cannot begin or go on; the command line prints it and exits with code 2."""


class NoPicturesError(TrainingError):
    """The data folder holds nothing to learn from."""


class ForeignCheckpointError(TrainingError):
    """A checkpoint was written by a network of another architecture."""
