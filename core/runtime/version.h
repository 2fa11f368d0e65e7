/* SPDX-License-Identifier: ISC */
/* The release of this source, as CHANGELOG.md names it. */
#ifndef SOTTO_RUNTIME_VERSION_H
#define SOTTO_RUNTIME_VERSION_H

#define SOTTO_RELEASE "0.1"

#endif
