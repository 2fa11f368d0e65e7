/* SPDX-License-Identifier: ISC */
/*
 * trace.h - how the message that Exim is just receiving came to us, in words for its header.
 */
#ifndef SOTTO_EXIM_TRACE_H
#define SOTTO_EXIM_TRACE_H

#include <stddef.h>

#define SOTTO_TRACE_TEXT 512

/*
 * "sealed v=1 id=<16 hex digits> peer=[<address>] by=<by>", or "" if the session with the peer at address and port is not
 * sealed, is not known, or is not ours. address and by may be NULL; then it is "".
 */
void sotto_trace_text(char *out, size_t len, const char *address, int port, const char *by);

#endif
