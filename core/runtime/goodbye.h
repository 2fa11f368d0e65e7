/* SPDX-License-Identifier: ISC */
/* The last line of a connection that comes to nothing, where there is no loop (any more) that could see to it. */
#ifndef SOTTO_RUNTIME_GOODBYE_H
#define SOTTO_RUNTIME_GOODBYE_H

/* Says text, shuts down, gives the other end a moment (5 s at most, however much it says meanwhile) to read it, and closes. Blocks. */
void sotto_goodbye(int fd, const char *text);

#endif
