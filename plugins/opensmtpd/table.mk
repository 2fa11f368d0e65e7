# SPDX-License-Identifier: ISC
# table-sotto: libc, and inih for sotto.conf in its child.

TABLE_SRC = $(addprefix plugins/opensmtpd/,table-sotto.c table-talk.c table.c table-alone.c route.c)
PLUGINS += $(B)/bin/table-sotto
INSTALL_PLUGINS += install-opensmtpd-table

$(B)/bin/table-sotto: $(TABLE_SRC:%.c=$(B)/obj/%.o) $(B)/lib/libsotto.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANFLAGS) $(CFLAGS) $(LDFLAGS) -pie $(LINKHARD) -Wl,--as-needed -o $@ $^ $(LIBS)

install-opensmtpd-table:
	install -D -m 755 build/bin/table-sotto $(DESTDIR)$(OPENSMTPDDIR)/table-sotto.new
	mv -f $(DESTDIR)$(OPENSMTPDDIR)/table-sotto.new $(DESTDIR)$(OPENSMTPDDIR)/table-sotto

.PHONY: install-opensmtpd-table

# ---- tests: the program itself -----------------------------------------------------------------------------

$(B)/tests/test-opensmtpd-table: WITH = plugins/opensmtpd/route.c
$(B)/tests/test-opensmtpd-table: | $(B)/bin/table-sotto
$(B)/tests/test-opensmtpd-table-talk: WITH = plugins/opensmtpd/table-talk.c
