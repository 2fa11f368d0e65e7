/* SPDX-License-Identifier: ISC */
/*
 * Whether the disk with the state answers. All sessions are on one loop, and whoever opens a file of a disk that hangs stands still: so a
 * process of its own tries it first. While that gets no answer, the state is one that is not there, for new sessions and for those that are
 * under way: nothing is remembered, and all else goes on.
 */
#ifndef SOTTO_OPENSMTPD_DISK_H
#define SOTTO_OPENSMTPD_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct sotto_disk {
	int talk;		/* -1: nobody tries it, and it is believed */
	bool asked, hangs;
	int64_t tried;		/* when it last answered, ms */
	bool tells;		/* the log has heard that it hangs */
	int64_t told;
	char state[4096];	/* the folder to use at this moment: its own path, or one that does not exist */
	char path[4096];
};

/* Starts the process; it ends with this one. Before the sandbox, and before any descriptor that it should not have. */
void sotto_disk_begin(struct sotto_disk *d, const char *path);

/* Waits for at most SOTTO_DISK_MS, and where the disk hangs already, not at all. True: d->state is another than before. */
bool sotto_disk_look(struct sotto_disk *d);

#define SOTTO_DISK_MS 300	/* a disk that takes longer hangs, for now */
#define SOTTO_DISK_BELIEVED_MS 200	/* one that has answered is not tried again for so long */

#endif
