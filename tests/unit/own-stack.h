/* SPDX-License-Identifier: ISC */
/*
 * Looks at memory as it is: what a function left on its stack, what was never set. Include after cmocka.h.
 */
#ifndef SOTTO_TESTS_OWN_STACK_H
#define SOTTO_TESTS_OWN_STACK_H

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static uint8_t stack[256 * 1024] __attribute__((unused)); /* a copy of the call's, for looking at */
static __attribute__((unused)) ucontext_t test, call;

/*
 * Copies octets as they are, by the kernel: for a memory checker nothing may look at what was never
 * set (padding within a struct), or at a stack that was left.
 */
static void copy_raw(void *to, const void *from, size_t len)
{
	static int memory = -1;

	if (memory < 0)
		memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	assert_true(memory >= 0);
	assert_int_equal(pread(memory, to, len, (off_t)(uintptr_t)from), len);
}

/*
 * Runs f on a stack that can be looked at afterwards. Once before that, for the dynamic linker's
 * sake: at the first call of a library's function it saves all registers on the stack.
 */
static __attribute__((unused)) void on_own_stack(void (*f)(void))
{
	void *own = mmap(NULL, sizeof(stack), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	assert_ptr_not_equal(own, MAP_FAILED);
	f();
	assert_int_equal(getcontext(&call), 0);
	call.uc_stack.ss_sp = own;
	call.uc_stack.ss_size = sizeof(stack);
	call.uc_link = &test;
	makecontext(&call, f, 0);
	assert_int_equal(swapcontext(&test, &call), 0);
	copy_raw(stack, own, sizeof(stack));
	munmap(own, sizeof(stack));
}

/* Is any stretch of 12 octets of the secret there? (Less may be a spilled register.) */
static __attribute__((unused)) bool left_behind(const uint8_t *what, size_t len)
{
	for (size_t i = 0; i + 12 <= len; i += 4) {
		if (memmem(stack, sizeof(stack), what + i, 12) != NULL)
			return true;
	}
	return false;
}

#endif
