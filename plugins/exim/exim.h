/* SPDX-License-Identifier: ISC */
/*
 * exim.h - what Exim lets its plugins use (exim4-dev). Nothing else of Exim may be named: only these names are
 * exported by Debian's binary.
 */
#ifndef SOTTO_EXIM_EXIM_H
#define SOTTO_EXIM_EXIM_H

#define DLFUNC_IMPL
#include <exim4/local_scan.h>

/* Exim finds these by name; all other names of a plugin stay inside it. */
#define SOTTO_EXPORT __attribute__((visibility("default")))

#endif
