# SPDX-License-Identifier: ISC
"""
A file system that is not well. Started by faults.py as a program of its own: enters the mount namespace of process PID, mounts it on
FOLDER, says "ok", and lives until its standard input ends.

    python3 mounts.py PID FOLDER KIND

hung: FUSE that nobody serves: whoever touches the folder waits. small: little room. read-only: what was there, and nothing new.
"""

import ctypes
import os
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MNT_DETACH = 0x00020000, 2
MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096


def mount(source, folder, kind, flags, options):
    if LIBC.mount(source.encode(), folder.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def mount_kind(kind, folder, fuse):
    there = os.stat(folder)
    if kind == "hung":
        mount("hung", folder, "fuse", 0, f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other")
    elif kind == "small":
        mount("small", folder, "tmpfs", 0, f"size=64k,nr_inodes=24,mode=0700,uid={there.st_uid},gid={there.st_gid}")
    else:
        mount(folder, folder, "", MS_BIND, "")
        mount("", folder, "", MS_BIND | MS_REMOUNT | MS_RDONLY, "")


def main(pid, folder, kind):
    fuse = os.open("/dev/fuse", os.O_RDWR) if kind == "hung" else -1
    space, root = (os.open(f"/proc/{pid}/{name}", os.O_RDONLY) for name in ("ns/mnt", "root"))
    if LIBC.setns(space, CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.fchdir(root)
    os.chroot(".")
    mount_kind(kind, folder, fuse)
    print("ok", flush=True)
    sys.stdin.read()
    if fuse >= 0:
        os.close(fuse)      # whoever waits is told that the disk is gone
    LIBC.umount2(folder.encode(), MNT_DETACH)


if __name__ == "__main__":
    main(*sys.argv[1:4])
