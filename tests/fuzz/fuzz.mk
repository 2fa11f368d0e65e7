# SPDX-License-Identifier: ISC
# The fuzz targets: `make fuzz TIME=600` with clang's libFuzzer, `make check-corpus` replays what is checked in.
# For AFL++: make B=build/afl CC=afl-clang-fast replayers

FUZZ_NAMES := $(patsubst tests/fuzz/fuzz-%.c,%,$(wildcard tests/fuzz/fuzz-*.c))
FUZZ_FLAGS  = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
TIME       ?= 600

# The core again, so that libFuzzer sees which branches an input takes.
build/fuzz/obj/%.o: %.c $(G)/sandbox-filters.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)clang $(CPPALL) $(WARN) $(STRICT) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -O1 -g -MMD -MP -c -o $@ $<

# ... but the cryptography: nothing there branches on an input, it takes most of the time, and it is replayed under sanitizers.
build/fuzz/obj/core/crypto/%.o: core/crypto/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)clang $(CPPALL) $(WARN) $(STRICT) -O2 -g -MMD -MP -c -o $@ $<

build/fuzz/libsotto.a: $(CORE_SRC:%.c=build/fuzz/obj/%.o)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

build/fuzz/bin/%: build/fuzz/obj/tests/fuzz/fuzz-%.o build/fuzz/libsotto.a
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer -g -o $@ $^ $(LIBS)

$(B)/replay/%: tests/fuzz/fuzz-%.c tests/fuzz/replay.c $(B)/lib/libsotto.a
	$(call say,REPLAY,$@)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -MF $@.d -o $@ $< tests/fuzz/replay.c $(LDFLAGS) $(B)/lib/libsotto.a $(LIBS)

fuzzers: $(FUZZ_NAMES:%=build/fuzz/bin/%)
replayers: $(FUZZ_NAMES:%=$(B)/replay/%)

fuzz: deps-check
	$(Q)$(MAKE) --no-print-directory -j2 fuzzers
	$(Q)tests/fuzz/run $(TIME) $(FUZZ_NAMES)

check-corpus:
	$(Q)$(MAKE) --no-print-directory SAN=1 replayers
	$(Q)tests/fuzz/replay-all build/san/replay $(FUZZ_NAMES)

.PHONY: fuzz fuzzers replayers check-corpus
.SECONDARY: $(FUZZ_NAMES:%=build/fuzz/obj/tests/fuzz/fuzz-%.o)
