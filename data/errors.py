"""Errors about what is on disk. Each message says what is wrong, where, and what to do."""


class DepthseedError(Exception):
    """Root of the errors whose message is meant for the user: one clear line, no traceback needed."""


class DatasetError(DepthseedError, ValueError):
    """The data set as a whole cannot be used (wrong root, empty split, unknown class)."""


class SettingError(DepthseedError, ValueError):
    """A parameter has a value that nothing can be done with."""


class ImageError(DepthseedError, ValueError):
    """One file of the data set cannot be used (unreadable, wrong size, no depth in it)."""


class StoreError(DepthseedError, RuntimeError):
    """An artifact cannot be written or read."""


class DamagedArtifactError(StoreError):
    """A file of an artifact is not what was written.

    Attributes
    ----------
    artifact : pathlib.Path
    """

    def __init__(self, artifact, file, reason):
        self.artifact = artifact
        self._arguments: tuple = (artifact, file, reason)
        super().__init__(
            f"{artifact}: {file} is damaged or missing ({reason}); "
            "run the same command again: the artifact is computed anew"
        )

    def __reduce__(self):  # it travels from worker processes
        return type(self), self._arguments


class DamagedShardError(DamagedArtifactError):
    """A shard's bytes are not those that were written.

    Attributes
    ----------
    artifact : pathlib.Path
        The artifact that holds the shard.
    shard : int
        Number of the shard, counted from 0 along ``image_id``.
    """

    def __init__(self, artifact, shard, array, reason):
        self.artifact = artifact
        self.shard = shard
        self._arguments = (artifact, shard, array, reason)
        StoreError.__init__(
            self,
            f"{artifact}: shard {shard} of array '{array}' is damaged or missing ({reason}); "
            "run the same command again: only this shard is computed anew",
        )


class WeightsError(DepthseedError, ValueError):
    """Pretrained weights cannot be had; the message lists the ways to provide them."""


class WorkerError(DepthseedError, RuntimeError):
    """A worker process died again and again on the same shard."""
