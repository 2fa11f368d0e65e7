/* SPDX-License-Identifier: ISC */
/* What is remembered of a peer, as the text of its file. For state.c; no file is touched. */
#ifndef SOTTO_RUNTIME_STATE_PEER_H
#define SOTTO_RUNTIME_STATE_PEER_H

#include "core/runtime/state-text.h"
#include "core/runtime/state.h"

/* 0, or -EINVAL: the reader would not take it. */
SOTTO_CHECKED int sotto_peer_state_write(struct sotto_text_out *out, const struct sotto_peer_state *s);

/* False, and *s is all zero: it is odd, or of another format. */
SOTTO_CHECKED bool sotto_peer_state_read(struct sotto_peer_state *s, const char *text, size_t n);

#endif
