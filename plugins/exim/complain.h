/* SPDX-License-Identifier: ISC */
/*
 * complain.h - a line in Exim's main log, at most one in a minute from all processes together.
 */
#ifndef SOTTO_EXIM_COMPLAIN_H
#define SOTTO_EXIM_COMPLAIN_H

__attribute__((format(printf, 1, 2))) void sotto_complain(const char *format, ...);

#endif
