/* SPDX-License-Identifier: ISC */
/* The words of a session's log line (sotto-session(8), LOG). Pure. */
#ifndef SOTTO_RUNTIME_ACCOUNT_TEXT_H
#define SOTTO_RUNTIME_ACCOUNT_TEXT_H

#include <stddef.h>

#include "core/runtime/account.h"

#define SOTTO_ACCOUNT_PEER 320
#define SOTTO_ACCOUNT_LINE 960

/* "mx.example.org[192.0.2.1]:25", "[192.0.2.1]:4711", "unknown": no spaces, no control characters. */
void sotto_account_peer(char *out, size_t len, const struct sotto_account *a);

/* Our mail server was sent on to the peer without us: 421, and no failure for anybody. */
bool sotto_account_native(const struct sotto_account *a, const struct sotto_report *r);

/* The one line that every session leaves. */
void sotto_account_line(char *out, size_t len, const struct sotto_account *a, const struct sotto_relay_end *end);

#endif
