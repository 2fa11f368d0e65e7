/* SPDX-License-Identifier: ISC */
/*
 * What was looked at and how it is: {"check", "level": "ok"|"warning"|"critical", "says", "remedy"}, in an array. For `sotto check` and
 * `sotto status`.
 */
#ifndef SOTTO_CLI_FINDINGS_H
#define SOTTO_CLI_FINDINGS_H

#include "core/cli/adapters.h"

/* level: SOTTO_CLI_OK, _WARNING or _CRITICAL; remedy: "" with OK. The text that format makes is cleaned. */
__attribute__((format(printf, 5, 6))) void sotto_finding(json_t *list, int level, const char *check, const char *remedy, const char *format, ...);

/* The worst level among them. */
int sotto_findings_level(const json_t *list);

/* Prints them; only those that are not ok, or all. */
void sotto_findings_print(const struct sotto_cli *cli, const json_t *list, bool all);

/*
 * Looks at everything, and acts as the owner of the state folder when it returns (adapters.h). hooks: an object of each present mail
 * server's name and "on", "off", "drifted" or "unknown". NULL: it was said why.
 */
json_t *sotto_check_all(const struct sotto_cli *cli, json_t *hooks);

/* The parts of it: the mail servers, as root; the rest, as the owner. */
void sotto_check_servers(json_t *list, json_t *hooks);
void sotto_check_settings(const struct sotto_cli *cli, json_t *list);
void sotto_check_files(const struct sotto_cli *cli, json_t *list, const json_t *hooks);
void sotto_check_host(const struct sotto_cli *cli, json_t *list);

/* Programs of ours that run since before an upgrade. As root. */
void sotto_check_running(json_t *list);

/* One where the firewall decides by user, and does not know the one that connections to other mail servers are made as. As root. */
void sotto_check_firewall(json_t *list, const struct sotto_adapter *a);

#endif
