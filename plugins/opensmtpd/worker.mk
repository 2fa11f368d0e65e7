# SPDX-License-Identifier: ISC
# The worker: core/runtime and libevent, as sotto-session.

WORKER_SRC = $(addprefix plugins/opensmtpd/,worker.c worker-options.c disk.c connections.c inbound.c outbound.c known.c known-hop.c route.c smtpd-user.c probe.c \
	probes.c protocol.c own-name.c)
PLUGINS += $(B)/bin/sotto-worker
INSTALL_PLUGINS += install-opensmtpd-worker

$(B)/bin/sotto-worker: $(WORKER_SRC:%.c=$(B)/obj/%.o) $(B)/lib/libsotto.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANFLAGS) $(CFLAGS) $(LDFLAGS) -pie $(LINKHARD) -o $@ $^ $(LIBS)

install-opensmtpd-worker:
	install -D -m 755 build/bin/sotto-worker $(DESTDIR)$(LIBEXECDIR)/sotto-worker.new
	mv -f $(DESTDIR)$(LIBEXECDIR)/sotto-worker.new $(DESTDIR)$(LIBEXECDIR)/sotto-worker

.PHONY: install-opensmtpd-worker

# ---- tests -------------------------------------------------------------------------------------------------

$(B)/tests/test-opensmtpd-known: WITH = plugins/opensmtpd/known.c plugins/opensmtpd/known-hop.c plugins/opensmtpd/route.c
