"""Put on PYTHONPATH, this kills the real command at one point: kill -9, no clean-up, no exit handler.

DEPTHSEED_KILL names the stage. A map stage dies after its first shard, a training stage after the
checkpoint of its first epoch, the others before their file gets its name. Worker processes inherit
the hook and kill the main process, as a machine that goes down would.

DEPTHSEED_SIGNAL is the number of another signal, which is sent to the main process only, or with
DEPTHSEED_GROUP to the process group, as a terminal does. DEPTHSEED_KILL is "planning" for the time
before any stage runs.
"""

import os
import signal
import time
from pathlib import Path

STAGE = os.environ.get("DEPTHSEED_KILL")

if STAGE:
    os.environ.setdefault("DEPTHSEED_MAIN", str(os.getpid()))

    import data.store.artifact
    import data.store.sharded

    def die():
        main, number = int(os.environ["DEPTHSEED_MAIN"]), int(os.environ.get("DEPTHSEED_SIGNAL", signal.SIGKILL))
        if "DEPTHSEED_GROUP" in os.environ:
            os.killpg(main, number)
        else:
            os.kill(main, number)
        if number == signal.SIGKILL:
            os.kill(os.getpid(), number)
        if os.getpid() != main:
            time.sleep(100)  # a worker process in the middle of its work

    def is_in_stage(path):
        return f"/{STAGE}/" in str(path)

    write_shard = data.store.sharded.ShardedStore.write_shard

    def write_shard_and_die(self, shard, arrays):
        write_shard(self, shard, arrays)
        if is_in_stage(self.path):
            die()

    data.store.sharded.ShardedStore.write_shard = write_shard_and_die

    replace = Path.replace

    def replace_or_die(self, target):
        name = Path(target).name
        if is_in_stage(target) and name in ("index.json", "scores.json", "report.html"):
            die()
        result = replace(self, target)
        if is_in_stage(target) and name == "checkpoint":
            die()
        return result

    Path.replace = replace_or_die

    if STAGE == "planning":
        marker = data.store.artifact.Artifact.marker

        def marker_or_die(self):
            die()
            return marker.__get__(self)

        data.store.artifact.Artifact.marker = property(marker_or_die)
