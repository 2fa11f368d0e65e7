/* SPDX-License-Identifier: ISC */
/* A live session as the text of its file. For live.c; no file is touched. */
#ifndef SOTTO_RUNTIME_LIVE_TEXT_H
#define SOTTO_RUNTIME_LIVE_TEXT_H

#include "core/runtime/live.h"
#include "core/runtime/state-text.h"

/* 0, or -EINVAL: the reader would not take it. */
SOTTO_CHECKED int sotto_live_text_write(struct sotto_text_out *out, const struct sotto_live *live);

/* False, and *live is all zero: it is odd, or of another format. */
SOTTO_CHECKED bool sotto_live_text_read(struct sotto_live *live, const char *text, size_t n);

#endif
