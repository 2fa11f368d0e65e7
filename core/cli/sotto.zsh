#compdef sotto
# SPDX-License-Identifier: ISC
# zsh completion for sotto(8).

local -a commands
commands=(
	'status:whether it is on, what became of the sessions, what is wrong'
	'check:look at settings, files, rights, the mail server, the clock'
	'probe:try another mail server; sends no mail'
	'peers:what is remembered of mail servers and domains'
	'forget:drop it'
	'sessions:those open now'
	'metrics:OpenMetrics text'
	'enable:switch it on in the mail server, and try it'
	'disable:switch it off'
	'version:the release'
	'help:the commands'
)
_arguments \
	'--json[as JSON]' \
	'--yes[without a question]' \
	'--all[forget\: everything]' \
	'--server[where there are several]:mail server:(exim postfix opensmtpd)' \
	'--port[probe\: another than 25]:port:' \
	'--conf[sotto.conf]:file:_files' \
	'--state[folder of what is remembered]:folder:_files -/' \
	'--run[folder of what is open now]:folder:_files -/' \
	'1:command:{_describe command commands}' \
	'2:name:_hosts'
