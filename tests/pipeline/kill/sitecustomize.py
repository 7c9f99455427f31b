"""Put on PYTHONPATH, this kills the real command at one point: kill -9, no clean-up, no exit handler.

DEPTHSEED_KILL names the stage. A map stage dies after its first shard, a training stage after the
checkpoint of its first epoch, the others before their file gets its name. Worker processes inherit
the hook and kill the main process, as a machine that goes down would.
"""

import os
import signal
from pathlib import Path

STAGE = os.environ.get("DEPTHSEED_KILL")

if STAGE:
    os.environ.setdefault("DEPTHSEED_MAIN", str(os.getpid()))

    import data.store.sharded

    def die():
        os.kill(int(os.environ["DEPTHSEED_MAIN"]), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

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
