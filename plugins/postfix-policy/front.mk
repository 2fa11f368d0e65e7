# SPDX-License-Identifier: ISC
# The inbound front: static like the connector (connector.mk). Postfix starts one for each connection, and in a virtual machine half of that time is
# glibc's: it asks the processor dozens of questions first, each of which the machine's host has to answer. musl asks none: it is taken where its compiler is
# there, for the same machine as ours (MUSL_GCC= for glibc). Its specs know no static-pie: that is why its start files are named.

FRONT_SRC = plugins/postfix-policy/front.c plugins/postfix-policy/spawned.c plugins/postfix-policy/start.c plugins/postfix-policy/hand-over.c \
	core/runtime/addr.c core/runtime/goodbye.c core/runtime/log.c core/runtime/log-stamp.c core/runtime/names.c core/runtime/pass.c core/runtime/proxy.c
ifeq ($(SAN),1)
MUSL_GCC =
else
MUSL_GCC ?= $(shell command -v musl-gcc)
endif
HASH := \#
ifneq ($(MUSL_GCC),)
MUSL := $(shell [ "$$($(CC) -dumpmachine)" = "$$($(MUSL_GCC) -dumpmachine)" ] && \
	$(MUSL_GCC) '-$(HASH)$(HASH)$(HASH)' -x c /dev/null 2>&1 | sed -n 's,.* \(/[^ ]*\)/Scrt1\.o .*,\1,p')
endif
ifneq ($(MUSL),)
FRONT_OBJ = $(FRONT_SRC:%.c=$(B)/musl/%.o)
FRONT_LINK = $(MUSL_GCC) $(CFLAGS) $(LDFLAGS) -static -nostartfiles -Wl,-pie -Wl,--no-dynamic-linker -Wl,-z,text -Wl,--fatal-warnings $(LINKHARD) \
	-Wl,-z,noexecstack -Wl,--gc-sections $(MUSL)/rcrt1.o $(MUSL)/crti.o
FRONT_END = $(MUSL)/crtn.o
else
FRONT_OBJ = $(FRONT_SRC:%.c=$(B)/static/%.o)
FRONT_LINK = $(POSTFIX_LINK)
FRONT_END =
endif
PLUGINS += $(B)/bin/sotto-front
INSTALL_PLUGINS += install-postfix-front

$(B)/musl/%.o: CC := $(MUSL_GCC)

$(B)/musl/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -ffunction-sections -fdata-sections -c -o $@ $<

$(B)/bin/sotto-front: $(FRONT_OBJ) plugins/postfix-policy/check-static
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(FRONT_LINK) -o $@.new $(filter %.o,$^) $(FRONT_END)
	$(Q)$(POSTFIX_CHECK) $@.new
	$(Q)mv $@.new $@

# Aside first: Postfix starts it at any moment.
install-postfix-front:
	install -D -m 755 build/bin/sotto-front $(DESTDIR)$(LIBEXECDIR)/sotto-front.new
	mv -f $(DESTDIR)$(LIBEXECDIR)/sotto-front.new $(DESTDIR)$(LIBEXECDIR)/sotto-front

.PHONY: install-postfix-front

$(B)/tests/test-postfix-front $(B)/tests/test-postfix-hand-over: | $(B)/bin/sotto-front
