/* SPDX-License-Identifier: ISC */
/*
 * paths.h - where things are. Each can be given to the compiler with -D; the GNUmakefile does.
 */
#ifndef SOTTO_EXIM_PATHS_H
#define SOTTO_EXIM_PATHS_H

#ifndef SOTTO_SESSION_PATH
#define SOTTO_SESSION_PATH "/usr/libexec/sotto/sotto-session"
#endif

#ifndef SOTTO_CONF_DIR
#define SOTTO_CONF_DIR "/etc/sotto"	/* sotto.conf, require, exclude */
#endif

#ifndef SOTTO_STATE_DIR
#define SOTTO_STATE_DIR "/var/lib/sotto"
#endif

#ifndef SOTTO_RUN_DIR
#define SOTTO_RUN_DIR "/run/sotto"	/* live sessions */
#endif

#endif
