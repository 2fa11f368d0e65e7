# SPDX-License-Identifier: ISC
# What switches Sotto on in OpenSMTPD.

INSTALL_PLUGINS += install-opensmtpd-enable

install-opensmtpd-enable:
	install -d $(DESTDIR)$(LIBEXECDIR)
	sed -e 's,/usr/libexec/opensmtpd,$(OPENSMTPDDIR),g' plugins/opensmtpd/sotto-opensmtpd > $(DESTDIR)$(LIBEXECDIR)/sotto-opensmtpd.new
	chmod 755 $(DESTDIR)$(LIBEXECDIR)/sotto-opensmtpd.new
	mv -f $(DESTDIR)$(LIBEXECDIR)/sotto-opensmtpd.new $(DESTDIR)$(LIBEXECDIR)/sotto-opensmtpd
	install -D -m 644 packaging/tmpfiles/sotto-opensmtpd.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/sotto-opensmtpd.conf

.PHONY: install-opensmtpd-enable
