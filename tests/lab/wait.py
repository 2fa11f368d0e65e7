# SPDX-License-Identifier: ISC
"""Waiting for something to become true in files, by inotify: no sleeping, no guessing, one deadline for all of it."""

import ctypes
import os
import select
import time

LIBC = ctypes.CDLL(None, use_errno=True)
IN_MODIFY, IN_CLOSE_WRITE, IN_MOVED, IN_CREATE, IN_DELETE = 0x2, 0x8, 0xC0, 0x100, 0x200
CHANGES = IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED | IN_CREATE | IN_DELETE


class TimedOut(AssertionError):
    """What was waited for did not come true in time."""


def _nearest(folder):
    """The folder, or what of its path is there already."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _watch(inotify, folders):
    for folder in map(str, folders):
        watched = None
        while watched != _nearest(folder):      # it may come into being while we look: nobody would tell us of what happens in it
            watched = _nearest(folder)
            LIBC.inotify_add_watch(inotify, watched.encode(), CHANGES)


def until(check, folders, seconds, what):
    """
    Calls check() now and after every change in one of the folders (which need not be there yet; or a function that lists them), until it returns
    something true, and returns that. After `seconds`: TimedOut, naming `what` (a text, or a function that makes one).
    """
    deadline = time.monotonic() + seconds
    inotify = LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if inotify < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    try:
        while True:
            _watch(inotify, folders() if callable(folders) else folders)
            result = check()
            if result:
                return result
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([inotify], [], [], left)[0]:
                raise TimedOut(f"not within {seconds} s: {what() if callable(what) else what}")
            os.read(inotify, 65536)
    finally:
        os.close(inotify)

