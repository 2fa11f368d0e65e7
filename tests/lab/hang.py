# SPDX-License-Identifier: ISC
"""
A disk that hangs. Started by faults.py as a program of its own: enters the mount namespace of process PID, mounts a FUSE file system that
nobody serves on FOLDER, says "ok", and lives until its standard input ends. Whoever touches the folder waits meanwhile.

    python3 hang.py PID FOLDER
"""

import ctypes
import os
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MNT_DETACH = 0x00020000, 2


def main(pid, folder):
    fuse = os.open("/dev/fuse", os.O_RDWR)
    space = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other"
    if LIBC.setns(space, CLONE_NEWNS) != 0 or LIBC.mount(b"hung", folder.encode(), b"fuse", 0, options.encode()) != 0:
        print(f"error: {os.strerror(ctypes.get_errno())}", flush=True)
        return 1
    print("ok", flush=True)
    sys.stdin.read()
    os.close(fuse)      # whoever waits is told that the disk is gone
    LIBC.umount2(folder.encode(), MNT_DETACH)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
