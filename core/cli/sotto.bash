# SPDX-License-Identifier: ISC
# bash completion for sotto(8).

_sotto()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command='' i
	local commands='status check probe peers forget sessions metrics enable disable version help'

	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ " $commands " == *" ${COMP_WORDS[i]} "* ]] && command=${COMP_WORDS[i]} && break
	done
	case $before in
	--server) mapfile -t COMPREPLY < <(compgen -W 'exim postfix opensmtpd' -- "$word"); return ;;
	--conf) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
	--state | --run) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
	--port) return ;;
	esac
	case $command in
	'') mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word") ;;
	enable | disable) mapfile -t COMPREPLY < <(compgen -W '--json --yes --server' -- "$word") ;;
	probe) mapfile -t COMPREPLY < <(compgen -W '--json --port' -A hostname -- "$word") ;;
	forget) mapfile -t COMPREPLY < <(compgen -W '--json --all' -A hostname -- "$word") ;;
	peers) mapfile -t COMPREPLY < <(compgen -W '--json' -A hostname -- "$word") ;;
	*) mapfile -t COMPREPLY < <(compgen -W '--json' -- "$word") ;;
	esac
}
complete -F _sotto sotto
