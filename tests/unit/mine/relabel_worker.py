"""Relabel in a process of its own; die by SIGKILL in the middle of storing a reply.

python relabel_worker.py URL MINED OUTPUT [STORED] dies when so many replies were stored, half a
line of the next one written; replies are kept in OUTPUT.jsonl.
"""

import os
import signal
import sys
from pathlib import Path

from annatto.core.store import open_collection, save
from annatto.mine.relabel import relabel
from annatto.models.llm import Endpoint, Service
from annatto.models.replies import Replies


class Mortal(Replies):
    """Replies that kill their process when `left` are stored; never when it is None."""

    left = None
    stored = 0

    def _append(self, key, said):
        if self.stored == self.left:
            self._file.write(b'{"key": "' + key.encode()[:9])
            self._file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        self.stored += 1
        super()._append(key, said)


if __name__ == "__main__":
    url, mined, output = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if len(sys.argv) > 4:
        Mortal.left = int(sys.argv[4])
    service = Service(url, "perfect", concurrency=4, backoff=0.001)
    llm = Endpoint(service, replies=Mortal.open(output.with_suffix(".jsonl")))
    save(relabel(open_collection(mined), llm), output)
