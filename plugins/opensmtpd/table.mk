# SPDX-License-Identifier: ISC
# table-sotto: libc only, as filter-sotto; and its child, with inih for sotto.conf.

TABLE_SRC = $(addprefix plugins/opensmtpd/,table-sotto.c table-talk.c table-alone.c route.c) $(addprefix core/runtime/,addr.c log.c log-stamp.c names.c \
	state-file.c state-folder.c state-name.c state-text.c)
JUDGE_SRC = $(addprefix plugins/opensmtpd/,table-judge.c table.c table-alone.c route.c)
PLUGINS += $(B)/bin/table-sotto $(B)/bin/sotto-table
INSTALL_PLUGINS += install-opensmtpd-table

$(B)/bin/table-sotto: $(TABLE_SRC:%.c=$(B)/obj/%.o)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANFLAGS) $(CFLAGS) $(LDFLAGS) -pie $(LINKHARD) -Wl,--gc-sections -o $@ $^

$(B)/bin/sotto-table: $(JUDGE_SRC:%.c=$(B)/obj/%.o) $(B)/lib/libsotto.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANFLAGS) $(CFLAGS) $(LDFLAGS) -pie $(LINKHARD) -Wl,--as-needed -o $@ $^ $(LIBS)

install-opensmtpd-table:
	install -D -m 755 build/bin/table-sotto $(DESTDIR)$(OPENSMTPDDIR)/table-sotto.new
	mv -f $(DESTDIR)$(OPENSMTPDDIR)/table-sotto.new $(DESTDIR)$(OPENSMTPDDIR)/table-sotto
	install -D -m 755 build/bin/sotto-table $(DESTDIR)$(LIBEXECDIR)/sotto-table.new
	mv -f $(DESTDIR)$(LIBEXECDIR)/sotto-table.new $(DESTDIR)$(LIBEXECDIR)/sotto-table

.PHONY: install-opensmtpd-table

# ---- tests: the program itself -----------------------------------------------------------------------------

$(B)/tests/test-opensmtpd-table: WITH = plugins/opensmtpd/route.c
$(B)/tests/test-opensmtpd-table: | $(B)/bin/table-sotto $(B)/bin/sotto-table
$(B)/tests/test-opensmtpd-table-talk: WITH = plugins/opensmtpd/table-talk.c
