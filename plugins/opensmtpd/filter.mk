# SPDX-License-Identifier: ISC
# filter-sotto's parent: libc only, linked as OpenSMTPD's own programs are.

OPENSMTPDDIR = $(PREFIX)/libexec/opensmtpd
FILTER_SRC = $(addprefix plugins/opensmtpd/,filter-sotto.c talk.c protocol.c listeners.c keeper.c passing.c route.c smtpd-user.c traces.c own-name.c) \
	$(addprefix core/runtime/,addr.c goodbye.c live.c live-text.c hop-socket.c log.c log-stamp.c names.c pass.c proxy.c state-file.c state-folder.c \
	state-name.c state-text.c)
PLUGINS += $(B)/bin/filter-sotto
INSTALL_PLUGINS += install-opensmtpd-filter

$(B)/bin/filter-sotto: $(FILTER_SRC:%.c=$(B)/obj/%.o)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANFLAGS) $(CFLAGS) $(LDFLAGS) -pie $(LINKHARD) -Wl,--gc-sections -o $@ $^

install-opensmtpd-filter:
	install -D -m 755 build/bin/filter-sotto $(DESTDIR)$(OPENSMTPDDIR)/filter-sotto.new
	mv -f $(DESTDIR)$(OPENSMTPDDIR)/filter-sotto.new $(DESTDIR)$(OPENSMTPDDIR)/filter-sotto

.PHONY: install-opensmtpd-filter

# ---- tests: the program itself -----------------------------------------------------------------------------

$(B)/tests/test-opensmtpd-filter: | $(B)/bin/filter-sotto
$(B)/tests/test-opensmtpd-protocol: WITH = plugins/opensmtpd/protocol.c
