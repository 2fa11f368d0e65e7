# SPDX-License-Identifier: ISC
# The `sotto` command. Included by the GNUmakefile.

CLI_SRC  := $(wildcard core/cli/*.c)
CLI_LIBS := $(if $(LIBS),$(shell pkg-config --libs jansson 2>/dev/null))
BINDIR    = $(PREFIX)/bin
PLUGINS  += $(B)/bin/sotto
INSTALL_PLUGINS += install-cli

$(B)/bin/sotto: $(CLI_SRC:%.c=$(B)/obj/%.o) $(B)/lib/libsotto.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANFLAGS) $(CFLAGS) $(LDFLAGS) -pie $(LINKHARD) -o $@ $^ $(LIBS) $(CLI_LIBS)

install-cli:
	install -D -m 755 build/bin/sotto $(DESTDIR)$(BINDIR)/sotto.new
	mv -f $(DESTDIR)$(BINDIR)/sotto.new $(DESTDIR)$(BINDIR)/sotto
	install -D -m 644 core/cli/sotto.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/sotto
	install -D -m 644 core/cli/sotto.zsh $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_sotto

.PHONY: install-cli

# ---- tests --------------------------------------------------------------------------------------------------

$(B)/tests/test-cli-tally: WITH = core/cli/tally.c
$(B)/tests/test-cli-remembered: WITH = core/cli/remembered.c core/cli/show.c
