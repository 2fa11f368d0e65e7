/* SPDX-License-Identifier: ISC */
/*
 * Loads and saves what is remembered of peers (state.h). Called by sotto-session, the daemons and the command; the Exim
 * plugin calls sotto_state_avoided. Never waits, never fails loudly.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/runtime/state-file.h"
#include "core/runtime/state-name.h"
#include "core/runtime/state-peer.h"

static const char *folder_of(const struct sotto_state_key *key)
{
	return key->addr != NULL ? "peers" : "names";
}

static int file_of(char out[SOTTO_FILE_NAME], const struct sotto_state_key *key)
{
	if ((key->addr == NULL) == (key->name == NULL))
		return -EINVAL;
	return key->addr != NULL ? sotto_name_of_peer(out, key->addr, key->inbound) : sotto_name_of_host(out, key->name);
}

static int path_of(char *out, size_t size, const char *dir, const struct sotto_state_key *key)
{
	char file[SOTTO_FILE_NAME];
	int n;

	if (file_of(file, key) != 0)
		return -EINVAL;
	n = snprintf(out, size, "%s/%s/%s", dir, folder_of(key), file);
	return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

void sotto_state_load(const char *dir, const struct sotto_state_key *key, struct sotto_peer_state *out)
{
	char path[1024], text[SOTTO_TEXT_MAX + 1];
	ssize_t n;
	int fd;

	memset(out, 0, sizeof(*out));
	if (path_of(path, sizeof(path), dir, key) != 0)
		return;
	fd = sotto_file_open(AT_FDCWD, path);
	if (fd < 0)
		return;
	n = sotto_file_read(fd, text, sizeof(text));
	close(fd);
	if (n < 0 || !sotto_peer_state_read(out, text, (size_t)n))
		memset(out, 0, sizeof(*out));
}

int sotto_state_save(const char *dir, const struct sotto_state_key *key, const struct sotto_peer_state *s)
{
	struct sotto_text_out text;
	char name[SOTTO_FILE_NAME];
	bool created;
	int folder, rc = file_of(name, key);

	if (rc == 0 && key->addr != NULL && key->inbound && s->sealed == 0)
		return -EPERM;
	if (rc == 0)
		rc = sotto_peer_state_write(&text, s);
	if (rc != 0)
		return rc;
	folder = sotto_folder_open(dir, folder_of(key), true);
	if (folder < 0)
		return folder;
	rc = sotto_file_replace(folder, name, text.at, text.n, &created);
	if (rc == 0 && created)
		sotto_folder_grown(folder, SOTTO_STATE_FILES);
	close(folder);
	return rc;
}

int sotto_state_avoided(const char *dir, const struct sockaddr *addr, int64_t now)
{
	struct sotto_state_key key = { .addr = addr };
	struct sotto_peer_state s;
	int error = errno;

	sotto_state_load(dir, &key, &s);
	errno = error;
	return sotto_peer_state_avoided(&s, now);
}
