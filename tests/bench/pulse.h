/* SPDX-License-Identifier: ISC */
/*
 * When this machine itself stood still: a virtual one is not always let run, and what somebody waited for meanwhile says nothing of what
 * is measured. A thread on each processor, before all else there, wakes up every half millisecond and notes when it was late.
 */
#ifndef SOTTO_BENCH_PULSE_H
#define SOTTO_BENCH_PULSE_H

#include <stdbool.h>

/* False: nobody gets SCHED_FIFO here; then nothing is noted. */
bool pulse_begin(void);

/* Whether a processor stood still at some time from `from` to `to` (bench_wall()), both in the past and after the last pulse_forget(). */
bool pulse_missed(double from, double to);
void pulse_forget(void);

#endif
