# SPDX-License-Identifier: ISC
# What Exim loads. Libc only: the names of Exim are Exim's, and check-symbols sees to it that there are no others.

EXIM_LIBS  = $(B)/lib/exim-sotto.so $(B)/lib/exim-sotto-local-scan.so
PLUGINS   += $(EXIM_LIBS)
INSTALL_PLUGINS += install-exim

# The runtime's rooms that are libc only; the linker leaves out what nobody calls.
EXIM_BOTH  = plugins/exim/find.c plugins/exim/trace.c core/runtime/addr.c core/runtime/names.c \
	$(wildcard core/runtime/live*.c core/runtime/state*.c)
EXIM_SCAN  = plugins/exim/local-scan.c
EXIM_OTHER = $(filter-out $(EXIM_BOTH) $(EXIM_SCAN),$(wildcard plugins/exim/*.c))

# Beside the objects of the programs, which are no good in a shared object. The last of -fPIE and -fPIC counts.
$(B)/pic/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections -c -o $@ $<

$(B)/lib/exim-sotto.so: $(EXIM_BOTH:%.c=$(B)/pic/%.o) $(EXIM_OTHER:%.c=$(B)/pic/%.o)
$(B)/lib/exim-sotto.so: EXPORTS = sotto_in sotto_out sotto_trace

$(B)/lib/exim-sotto-local-scan.so: $(EXIM_BOTH:%.c=$(B)/pic/%.o) $(EXIM_SCAN:%.c=$(B)/pic/%.o)
$(B)/lib/exim-sotto-local-scan.so: EXPORTS = local_scan local_scan_version_major local_scan_version_minor

$(EXIM_LIBS): plugins/exim/check-symbols
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANFLAGS) $(CFLAGS) $(LDFLAGS) -shared $(LINKHARD) -Wl,--gc-sections -o $@.new $(filter %.o,$^)
	$(Q)$(if $(SANFLAGS),:,CC='$(CC)' plugins/exim/check-symbols $@.new $(EXPORTS))
	$(Q)mv $@.new $@

# Aside first: a running Exim defers mail for as long as half a library is there.
install-exim:
	install -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(DATADIR)
	for f in $(notdir $(EXIM_LIBS)); do \
		install -m 644 build/lib/$$f $(DESTDIR)$(LIBDIR)/$$f.new && mv -f $(DESTDIR)$(LIBDIR)/$$f.new $(DESTDIR)$(LIBDIR)/$$f || exit 1; done
	sed -e 's,/usr/lib/sotto/,$(LIBDIR)/,g' -e 's,/usr/share/sotto/,$(DATADIR)/,g' \
		-e 's,/etc/sotto/,$(SYSCONFDIR)/sotto/,g' plugins/exim/exim4-sotto.conf > $(DESTDIR)$(DATADIR)/exim4-sotto.conf
	chmod 644 $(DESTDIR)$(DATADIR)/exim4-sotto.conf
	install -d $(DESTDIR)$(LIBEXECDIR)
	sed -e 's,/usr/libexec/sotto,$(LIBEXECDIR),g' -e 's,/usr/lib/sotto/,$(LIBDIR)/,g' -e 's,/usr/share/sotto/,$(DATADIR)/,g' \
		plugins/exim/sotto-exim > $(DESTDIR)$(LIBEXECDIR)/sotto-exim.new
	chmod 755 $(DESTDIR)$(LIBEXECDIR)/sotto-exim.new
	mv -f $(DESTDIR)$(LIBEXECDIR)/sotto-exim.new $(DESTDIR)$(LIBEXECDIR)/sotto-exim

.PHONY: install-exim

# ---- tests: with the plugin's own sources, and paths of their own where they read files -----------------------

$(B)/tests/test-exim-conf: WITH = plugins/exim/conf.c
$(B)/tests/test-exim-find: WITH = plugins/exim/find.c
$(B)/tests/test-exim-replace: WITH = plugins/exim/replace.c
$(B)/tests/test-exim-spawn: WITH = plugins/exim/find.c plugins/exim/pair.c plugins/exim/replace.c plugins/exim/spawn.c
$(B)/tests/test-exim-trace: WITH = plugins/exim/find.c plugins/exim/local-scan.c
$(B)/tests/test-exim-dlfunc $(B)/tests/test-exim-dlfunc-out: WITH = plugins/exim/conf.c plugins/exim/find.c plugins/exim/pair.c \
	plugins/exim/replace.c plugins/exim/spawn.c
