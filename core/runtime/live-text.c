/* SPDX-License-Identifier: ISC */
/* The writer and the reader of a live session's file, line for line the same (live-text.h). Called by live.c. */
#include "core/runtime/live-text.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define HEAD "sotto-live 1"
#define VERSION_MAX 999	/* PROTOCOL.md 2: 1*3DIGIT */

int sotto_live_text_write(struct sotto_text_out *out, const struct sotto_live *live)
{
	struct sotto_live again;

	out->n = 0;
	if (memchr(live->id, '\0', sizeof(live->id)) == NULL || memchr(live->adapter, '\0', sizeof(live->adapter)) == NULL)
		return -EINVAL;
	sotto_text_put(out, HEAD "\n");
	sotto_text_put(out, "inbound %s\n", live->inbound ? "yes" : "no");
	sotto_text_put(out, "adapter %s\n", live->adapter);
	sotto_text_put(out, "pid %ld\n", (long)live->pid);
	sotto_text_put(out, "since %" PRId64 "\n", live->since);
	sotto_text_put(out, "sealed %s\n", live->sealed ? "yes" : "no");
	if (live->sealed)
		sotto_text_put(out, "version %u\nid %s\n", live->version, live->id);
	return sotto_text_finish(out) == 0 && sotto_live_text_read(&again, out->at, out->n) ? 0 : -EINVAL;
}

/* "adapter ", a-z, LF. */
static bool read_adapter(struct sotto_text_in *in, char *out, size_t size)
{
	size_t n = 0;

	if (!sotto_text_word(in, "adapter "))
		return false;
	while (n < in->n && in->at[n] >= 'a' && in->at[n] <= 'z')
		n++;
	if (n >= size)
		return false;
	memcpy(out, in->at, n);
	out[n] = '\0';
	in->at += n;
	in->n -= n;
	return sotto_text_word(in, "\n");
}

/* "id ", 16 digits in lower case, LF. */
static bool read_id(struct sotto_text_in *in, char out[17])
{
	struct sotto_text_in digits;
	uint8_t octets[8];

	if (!sotto_text_word(in, "id "))
		return false;
	digits = *in;
	if (!sotto_text_hex(in, octets, sizeof(octets)) || !sotto_text_word(in, "\n"))
		return false;
	memcpy(out, digits.at, 16);
	out[16] = '\0';
	return true;
}

static bool read_sealed(struct sotto_text_in *in, struct sotto_live *live)
{
	int64_t version = 0;

	if (!live->sealed)
		return true;
	if (!sotto_text_number_line(in, "version", VERSION_MAX, &version) || version == 0 || !read_id(in, live->id))
		return false;
	live->version = (unsigned)version;
	return true;
}

bool sotto_live_text_read(struct sotto_live *live, const char *text, size_t n)
{
	struct sotto_text_in in;
	int64_t pid = 0;

	memset(live, 0, sizeof(*live));
	if (sotto_text_begin(&in, text, n, HEAD) &&
	    sotto_text_bool_line(&in, "inbound", &live->inbound) &&
	    read_adapter(&in, live->adapter, sizeof(live->adapter)) &&
	    sotto_text_number_line(&in, "pid", INT_MAX, &pid) &&
	    sotto_text_number_line(&in, "since", SOTTO_TIME_MAX, &live->since) &&
	    sotto_text_bool_line(&in, "sealed", &live->sealed) &&
	    read_sealed(&in, live) && in.n == 0) {
		live->pid = (pid_t)pid;
		return true;
	}
	memset(live, 0, sizeof(*live));
	return false;
}
