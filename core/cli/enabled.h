/* SPDX-License-Identifier: ISC */
/* Since when Sotto has been switched on by the command: a file of a number, DIR/enabled. As the owner of the state folder. */
#ifndef SOTTO_CLI_ENABLED_H
#define SOTTO_CLI_ENABLED_H

#include <stdint.h>

/* 0: not known. */
int64_t sotto_enabled_since(const char *state);

/* when: 0: not any more. Where it cannot be written, it is not known. */
void sotto_enabled_note(const char *state, int64_t when);

#endif
