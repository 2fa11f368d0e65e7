/* SPDX-License-Identifier: ISC */
/* Finds out what smtpd calls itself where smtpd.conf does not say otherwise (own-name.h). Called by the parent and the worker at their start. */
#include "plugins/opensmtpd/own-name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *sotto_own_name(void)
{
	static char name[256];
	FILE *f = fopen("/etc/mailname", "re");
	bool there = f != NULL && fgets(name, sizeof(name), f) != NULL;

	if (f != NULL)
		(void)fclose(f);
	name[strcspn(name, " \t\r\n")] = '\0';
	if ((!there || name[0] == '\0') && gethostname(name, sizeof(name) - 1) != 0)
		return "localhost";
	return name;
}
