/* SPDX-License-Identifier: ISC */
/*
 * The decision of sotto-policyd: which mail takes the loopback hop. From memory only, but for the file of a hop address, which is written
 * the first time (on a memory disk). Nothing here ever waits.
 */
#ifndef SOTTO_POSTFIX_DIVERT_H
#define SOTTO_POSTFIX_DIVERT_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "plugins/postfix-policy/policyd.h"
#include "plugins/postfix-policy/socketmap.h"

/*
 * The answer for transport_maps: the key is a recipient's address. `OK :[127.x.y.z]:PORT, DOMAIN` where it takes the hop: Postfix falls
 * through to DOMAIN where the hop says 421. `OK :[127.x.y.z]:PORT` where encryption is required: then there is nothing to fall through
 * to. `TEMP` where it is required and cannot be had now; otherwise `NOTFOUND`, and Postfix goes on as if we were not there.
 */
size_t sotto_divert_transport(const struct sotto_policyd *p, const char *key, size_t len, int64_t now, char reply[SOTTO_SOCKETMAP_REPLY]);

/*
 * The answer for smtp_tls_policy_maps: the key is `[127.x.y.z]:PORT` for the hop. `OK encrypt` where that domain's own TLS policy was found
 * to be more than the hop can do, so that nothing goes there in the clear. A domain itself, to which Postfix goes without us: a policy
 * that no certificate meets, where a session found that encryption is required of its mail server, and was not to be had; the mail waits.
 * Otherwise `NOTFOUND`: what main.cf says of all.
 */
size_t sotto_divert_tls(const struct sotto_policyd *p, const char *key, size_t len, int64_t now, char reply[SOTTO_SOCKETMAP_REPLY]);

/* Whether a connection for this domain is to be had through the hop now (the same rules; a session, once open, is not asked again). */
enum sotto_divert_hop { SOTTO_HOP_TAKE, SOTTO_HOP_NATIVE, SOTTO_HOP_OFF };
enum sotto_divert_hop sotto_divert_hop(const struct sotto_policyd *p, const struct sotto_domain *d, int64_t now);

#endif
