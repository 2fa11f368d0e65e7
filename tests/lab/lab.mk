# SPDX-License-Identifier: ISC
# What the lab has beside its tests. Included by the GNUmakefile.

# Mail under faults for TIME seconds; the same SEED makes the same choices (not the same moments).
TIME ?= 3600
SEED ?=
soak: deps-demo
	$(Q)$(MAKE) --no-print-directory staged
	$(Q)tests/lab/soak --seconds $(TIME) $(if $(SEED),--seed '$(SEED)')

.PHONY: soak
