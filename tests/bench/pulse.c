/* SPDX-License-Identifier: ISC */
/* Notes when the machine stood still (pulse.h). For lookups.c. */
#include "tests/bench/pulse.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define PROCESSORS 64
#define EVERY 0.0005
#define LATE 0.0002
#define PRIORITY 2	/* who is measured has 1 */
#define NOTES 4096	/* of one processor, from one pulse_forget() to the next */

static struct processor {
	struct { double from, to; } note[NOTES];
	_Atomic unsigned n;
} processors[PROCESSORS];
static int count;

/* The time of a pulse that was late begins with the one before. */
static void *beat(void *arg)
{
	struct processor *p = arg;
	double before = bench_wall();

	for (;;) {
		const struct timespec every = { .tv_nsec = (long)(EVERY * 1e9) };
		double now;
		unsigned n = p->n;

		(void)nanosleep(&every, NULL);
		now = bench_wall();
		if (now - before > EVERY + LATE) {
			p->note[n % NOTES].from = before;
			p->note[n % NOTES].to = now;
			p->n = n + 1;
		}
		before = now;
	}
	return NULL;
}

static bool begin_on(size_t cpu)
{
	const struct sched_param how = { .sched_priority = PRIORITY };
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t one;
	int rc;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	MUST(pthread_attr_init(&attr) == 0);
	MUST(pthread_attr_setaffinity_np(&attr, sizeof(one), &one) == 0);
	MUST(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED) == 0);
	MUST(pthread_attr_setschedpolicy(&attr, SCHED_FIFO) == 0 && pthread_attr_setschedparam(&attr, &how) == 0);
	rc = pthread_create(&thread, &attr, beat, &processors[count]);
	(void)pthread_attr_destroy(&attr);
	if (rc == 0)
		count++;
	return rc == 0;
}

bool pulse_begin(void)
{
	cpu_set_t ours;

	MUST(sched_getaffinity(0, sizeof(ours), &ours) == 0);
	for (size_t cpu = 0; cpu < CPU_SETSIZE && count < PROCESSORS; cpu++)
		if (CPU_ISSET(cpu, &ours) && !begin_on(cpu))
			return false;
	return true;
}

bool pulse_missed(double from, double to)
{
	for (int i = 0; i < count; i++)
		for (unsigned k = 0; k < processors[i].n && k < NOTES; k++)
			if (processors[i].note[k].from < to && processors[i].note[k].to > from)
				return true;
	return false;
}

void pulse_forget(void)
{
	for (int i = 0; i < count; i++)
		processors[i].n = 0;
}
