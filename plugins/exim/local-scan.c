/* SPDX-License-Identifier: ISC */
/*
 * local-scan.c - the trace as a header of its own, for those who do not want it in Received. A library apart
 * (exim-sotto-local-scan.so), because Exim has one local_scan only and it may be taken.
 *
 * It never refuses a message, never defers one, and reads nothing of it.
 */
#include "plugins/exim/exim.h"

#include "plugins/exim/trace.h"

SOTTO_EXPORT int local_scan_version_major(void);
SOTTO_EXPORT int local_scan_version_minor(void);
SOTTO_EXPORT int local_scan(int fd, uschar **return_text);

int local_scan_version_major(void)
{
	return LOCAL_SCAN_ABI_VERSION_MAJOR;
}

int local_scan_version_minor(void)
{
	return LOCAL_SCAN_ABI_VERSION_MINOR;
}

/* Above our own Received, which Exim has made by now: what stands there cannot have come with the message. */
int local_scan(int fd, uschar **return_text)
{
	static uschar by[] = "$primary_hostname";
	char text[SOTTO_TRACE_TEXT];

	(void)fd;
	(void)return_text;
	sotto_trace_text(text, sizeof(text), (const char *)sender_host_address, sender_host_port,
			 (const char *)expand_string(by));
	if (text[0] != '\0')
		header_add_at_position(FALSE, NULL, FALSE, ' ', "X-Sotto: %s\n", text);
	return LOCAL_SCAN_ACCEPT;
}
