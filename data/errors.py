"""Errors about what is on disk. Each message says what is wrong, where, and what to do."""


class DepthseedError(Exception):
    """Base class of the errors whose message is for the user: one clear line, no traceback needed."""

    def __str__(self):
        """The message as one line: line breaks and other unprintable characters, as names may have, are escaped."""
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in super().__str__())


class DatasetError(DepthseedError, ValueError):
    """The data set as a whole cannot be used: wrong root, empty split, unknown class."""


class SettingError(DepthseedError, ValueError):
    """A parameter has a value that cannot be used."""


class MethodError(SettingError):
    """A stage is asked for that the method does not have, whatever the other settings."""


class ImageError(DepthseedError, ValueError):
    """One file of the data set cannot be used: unreadable, wrong size, no depth in it."""


class StoreError(DepthseedError, RuntimeError):
    """An artifact cannot be written or read."""


class DamagedArtifactError(StoreError):
    """A file of an artifact differs from what was written.

    Attributes
    ----------
    artifact : pathlib.Path
        The artifact that holds the file.
    reason : str
        What is wrong with the file.
    what : str
        The message without what to do.
    """

    def __init__(self, artifact, file, reason):
        self._say(artifact, file, reason, "the artifact is recomputed")
        self._arguments: tuple = (artifact, file, reason)

    def _say(self, artifact, part, reason, comes):
        self.artifact, self.reason = artifact, reason
        self.what = f"{artifact}: {part} is damaged or missing ({reason})"
        super().__init__(f"{self.what}; run the same command again: {comes}")

    def __reduce__(self):  # the error is sent from worker processes
        return type(self), self._arguments


class DamagedShardError(DamagedArtifactError):
    """The bytes of a shard differ from what was written.

    Attributes
    ----------
    artifact : pathlib.Path
        The artifact that holds the shard.
    shard : int
        Index of the shard along ``image_id``, from 0.
    """

    def __init__(self, artifact, shard, array, reason):
        self._say(artifact, f"shard {shard} of array '{array}'", reason, "only this shard is recomputed")
        self.shard = shard
        self._arguments = (artifact, shard, array, reason)


class WeightsError(DepthseedError, ValueError):
    """Pretrained weights are not available; the message lists the ways to provide them."""


class TrainingError(DepthseedError, ArithmeticError):
    """A training cannot go on: its loss or a weight is not finite."""


class QualityError(DepthseedError, ValueError):
    """The result of a stage is of no use to the stages that follow."""


class WorkerError(DepthseedError, RuntimeError):
    """Worker processes died repeatedly on the same shard."""


class OutOfMemory(DepthseedError, MemoryError):
    """A stage needs more memory than this machine, its GPU or a worker process has."""
