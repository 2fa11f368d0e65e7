# SPDX-License-Identifier: ISC
# What the lab has beside its tests. Included by the GNUmakefile.

# Mail under faults for TIME seconds; the same SEED makes the same choices (not the same moments).
TIME ?= 3600
SEED ?=
soak: deps-demo
	$(Q)$(MAKE) --no-print-directory staged
	$(Q)tests/lab/soak --seconds $(TIME) $(if $(SEED),--seed '$(SEED)')

# Every mail server with every other, with Sotto on both, on one and on none.
matrix: deps-demo
	$(Q)$(MAKE) --no-print-directory staged
	$(Q)tests/lab/matrix

.PHONY: soak matrix

# Clients that no mail server is.
LAB_TOOLS := $(patsubst tests/lab/tools/%.c,$(B)/lab-tools/%,$(wildcard tests/lab/tools/*.c))
lab-tools: $(LAB_TOOLS)
check-lab check-lab-long: lab-tools

$(B)/lab-tools/%: tests/lab/tools/%.c $(B)/lib/libsotto.a
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -o $@ $< $(LDFLAGS) $(B)/lib/libsotto.a $(LIBS)

$(B)/lab-tools/filtered: LIBS += -lseccomp

.PHONY: lab-tools
