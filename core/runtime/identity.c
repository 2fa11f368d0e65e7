/* SPDX-License-Identifier: ISC */
/*
 * Reads or makes this host's long-term key (identity.h). Called once by sotto-session, the daemons and the command. Never
 * overwrites a file, never logs, and leaves no copy of the key in memory but the caller's.
 */
#include "core/runtime/identity.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/crypto/random.h"
#include "core/runtime/state-file.h"
#include "core/runtime/state-text.h"

#define NAME "identity"
#define KEY 32
#define HEX (2 * KEY)

static const uint8_t zero[KEY];

/* 64 hex digits in lower case, and perhaps the end of a line. A key of zeros is nobody's. */
static int read_key(uint8_t secret[KEY], const char *text, size_t n)
{
	struct sotto_text_in in = { .at = text, .n = n };

	if (sotto_text_hex(&in, secret, KEY) && (in.n == 0 || (sotto_text_word(&in, "\n") && in.n == 0)) &&
	    !sotto_equal(secret, zero, KEY))
		return 0;
	return -EPROTO;
}

static int load(uint8_t secret[KEY], int folder)
{
	int fd = sotto_file_open(folder, NAME), rc;
	char text[HEX + 8];
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) != 0 || (st.st_mode & 077) != 0) {
		close(fd);
		return -EPERM;
	}
	n = sotto_file_read(fd, text, sizeof(text));
	close(fd);
	if (n == -EFBIG)
		rc = -EPROTO;
	else
		rc = n < 0 ? (int)n : read_key(secret, text, (size_t)n);
	sotto_wipe(text, sizeof(text));
	return rc;
}

static int write_new(int fd)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t secret[KEY];
	char text[HEX + 1];
	int rc = sotto_random(secret, sizeof(secret)) == 0 ? 0 : -EIO;

	for (size_t i = 0; i < sizeof(secret); i++) {
		text[2 * i] = digits[secret[i] >> 4];
		text[2 * i + 1] = digits[secret[i] & 15];
	}
	text[HEX] = '\n';
	if (rc == 0)
		rc = sotto_file_write(fd, text, sizeof(text));
	sotto_wipe(secret, sizeof(secret));
	sotto_wipe(text, sizeof(text));
	return rc;
}

/* Written aside and linked: the name appears with the whole key behind it, and only if nobody else was first. */
static int make(int folder)
{
	char aside[SOTTO_ASIDE_NAME];
	int fd = sotto_file_aside(folder, aside), rc;

	if (fd < 0)
		return fd;
	rc = write_new(fd);
	if (close(fd) != 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && linkat(folder, aside, folder, NAME, 0) != 0 && errno != EEXIST)
		rc = -errno;
	(void)unlinkat(folder, aside, 0);
	return rc;
}

int sotto_identity_load(uint8_t secret[32], const char *state)
{
	int folder = sotto_folder_open(state, NULL, false), rc;

	sotto_wipe(secret, KEY);
	if (folder < 0)
		return folder;
	rc = load(secret, folder);
	if (rc == -ENOENT) {
		rc = make(folder);
		if (rc == 0)
			rc = load(secret, folder);
	}
	close(folder);
	if (rc != 0)
		sotto_wipe(secret, KEY);
	return rc;
}
