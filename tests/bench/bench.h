/* SPDX-License-Identifier: ISC */
/*
 * What the programs of the bench share: clocks, medians, processes with given descriptors, and lines "NAME VALUE" on stdout, which
 * run.py reads. Whatever does not work ends the program with a sentence on stderr: there are no half results.
 */
#ifndef SOTTO_BENCH_H
#define SOTTO_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MUST(what) ((what) ? (void)0 : bench_die(#what, __FILE__, __LINE__))

_Noreturn void bench_die(const char *what, const char *file, int line);

/* Seconds: of this thread's CPU, of all threads', and of a clock on the wall. */
double bench_cpu(void);
double bench_process_cpu(void);
double bench_wall(void);

/* The median of `n` figures, which are sorted. */
double bench_median(double *figures, size_t n);

/* Prints one line for run.py. */
void bench_say(const char *name, double value);

/* argv[1] as a number, or `otherwise`. */
unsigned bench_number(int argc, char **argv, int at, unsigned otherwise);

/* ---- processes and sockets ---- */

/* A temporary folder with sotto.conf, state, run; removed by bench_folder_end(). */
struct bench_folder {
	char dir[64], conf[96], state[96], run[96];
};

void bench_folder_begin(struct bench_folder *f, const char *mode);
void bench_folder_end(const struct bench_folder *f);

/* Starts argv[0]; `fds`, ended by -1, become its 3, 4, 5 ... */
pid_t bench_start(const int *fds, const char *const argv[]);

/* Starts a sotto-session with net 3, mta 4, in this folder. `role`: accept or connect. `ready`: its descriptor, or -1. */
pid_t bench_session(const struct bench_folder *f, const char *role, int net, int mta, int ready);

/* Waits for its end; seconds of CPU that it took. */
double bench_end(pid_t pid);

void bench_tcp_pair(int pair[2]);
void bench_unix_pair(int pair[2]);

/* Sends this text; reads octets until this text was among them. */
void bench_put(int fd, const char *text);
void bench_await(int fd, const char *text);

/* Both mail servers, as far as the first octets of an envelope: from there on, nothing is looked at any more. */
void bench_greet(int client, int server);

#endif
