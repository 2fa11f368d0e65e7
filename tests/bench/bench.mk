# SPDX-License-Identifier: ISC
# `make bench`: what Sotto costs, beside what the same costs without it. QUICK=1: rougher, and quicker. ONLY='mail.py lookups.py': only
# these of its programs. run.py runs them, prints the table and writes build/bench/bench.json.

BENCH_PROGRAMS = handshake start relay memory empty plain-relay notfound lookups sessions
BENCH = $(BENCH_PROGRAMS:%=build/bench/%)
BENCH_LINK = $(LDFLAGS) -pie $(LINKHARD)

build/bench/%.o: tests/bench/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

build/bench/%: tests/bench/%.c build/bench/bench.o $(B)/lib/libsotto.a
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -o $@ $< $(filter %.o,$^) $(BENCH_LINK) $(B)/lib/libsotto.a $(LIBS) $(BENCH_LIBS)

build/bench/handshake: BENCH_LIBS = -lssl -lcrypto
build/bench/relay: build/bench/aead.o
build/bench/lookups: build/bench/pulse.o

# Linked to everything that sotto-session is linked to, whether it calls it or not.
build/bench/empty build/bench/plain-relay: build/bench/%: tests/bench/%.c
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -o $@ $< $(BENCH_LINK) -Wl,--no-as-needed $(LIBS)

# lab-tools: what holds sealed sessions open
bench-programs: $(BENCH) lab-tools

bench:
	$(Q)sh tests/setup/need bench
	$(Q)$(MAKE) --no-print-directory staged bench-programs
	$(Q)/usr/bin/python3 -B tests/bench/run.py $(if $(QUICK),--quick) $(ONLY)

.PHONY: bench bench-programs
