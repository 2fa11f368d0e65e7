/* SPDX-License-Identifier: ISC */
/*
 * replace.h - puts one connection in the place of another, unnoticed by who uses the descriptors.
 */
#ifndef SOTTO_EXIM_REPLACE_H
#define SOTTO_EXIM_REPLACE_H

#include "core/crypto/memory.h"

/*
 * Makes each of the n descriptors at fds lead where `with` leads. They keep their numbers and FD_CLOEXEC; `with` takes
 * over their file status flags and the options that Exim may have set (keep-alive, linger, timeouts).
 *
 * `old` leads where they led before, and serves to undo. 0; -1 with errno, and all of them lead where they led.
 */
SOTTO_CHECKED int sotto_replace(const int *fds, unsigned n, int with, int old);

/* The way back, with the options left alone. */
void sotto_put_back(const int *fds, unsigned n, int old);

#endif
