"""Saves and compacts copies of an index, killed at one system call after another.

python bigranular_worker.py FOLDER    # FOLDER/start is an index of 400 rows
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np

from annatto.index.bigranular import BigranularIndex

CALLS = ("fsync", "replace", "unlink", "rename", "mkdir")
MOST = 30


def save(index, folder):
    index.add(np.eye(40, 16, dtype=np.float32) * 0.1)
    index.save(folder)


def compact(index, folder):
    index.remove(np.arange(50))
    index.compact()


def kill_at(number):
    """Kill this process when it makes its so-manieth call of those that touch files."""
    made = []

    def counted(call):
        def work(*words, **named):
            made.append(call)
            if len(made) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*words, **named)

        return work

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def main():
    place = Path(sys.argv[1])
    told = []
    for work in (save, compact):
        for number in range(1, MOST):
            folder = place / f"{work.__name__}-{number}"
            shutil.copytree(place / "start", folder)
            child = os.fork()
            if not child:
                index = BigranularIndex.load(folder)
                kill_at(number)
                work(index, folder)
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            told.append({"what": work.__name__, "folder": str(folder), "status": status})
            if status == 0:
                break
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
