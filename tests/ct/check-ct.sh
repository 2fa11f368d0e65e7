#!/bin/sh
# SPDX-License-Identifier: ISC
# No branch, no address and no division in X25519 and ML-KEM depends on a secret, whatever the
# compiler made of them: gcc and clang, -O2 and -O3. One line a combination; 0 if all are clean.
#
# Run from the project's root (make check-ct). Valgrind follows marked secrets: see ct.c. It cannot
# see that a division takes longer for some numbers, so the machine code is searched for them.
#
# CC may name one more compiler; SOTTO_CT_FLAGS adds flags.

dir=${SOTTO_CT_DIR:-build/ct}
flags='-std=gnu11 -D_GNU_SOURCE -I. -Wall -Wextra -g -gdwarf-4'
harden='-fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2'
sources='mlkem768 mlkem768-poly mlkem768-octets memory x25519-64 x25519-32 hash kdf'
failed=0

for tool in gcc clang valgrind objdump; do
	if ! command -v "$tool" >/dev/null; then
		echo "check-ct: $tool is missing (apt-get install gcc clang valgrind binutils)"
		exit 1
	fi
done
compilers='gcc clang'
case ${CC:-cc} in
cc | gcc | clang) ;;
*) compilers="$compilers $CC" ;;
esac

# compile COMPILER LEVEL FILE
compile()
{
	# shellcheck disable=SC2086
	$1 $flags $harden "$2" $SOTTO_CT_FLAGS -c -o "$out/$(basename "$3" .c).o" "$3"
}

# build COMPILER LEVEL: the harness, and beside it the objects that must hold no division
build()
{
	rm -rf "$out"
	mkdir -p "$out" || return 1
	for name in $sources; do
		compile "$1" "$2" "core/crypto/$name.c" || return 1
	done
	compile "$1" "$2" tests/ct/ct.c || return 1
	wide=32
	$1 -dM -E -x c /dev/null | grep -q __SIZEOF_INT128__ && wide=64
	# ct.o holds the other variant of x25519 itself
	# shellcheck disable=SC2086
	mkdir "$out/unlinked" && mv "$out"/x25519-*.o "$out/unlinked/" &&
		mv "$out/unlinked/x25519-$wide.o" "$out/" &&
		$1 $flags $harden "$2" -o "$out/ct" "$out"/*.o -ltomcrypt
}

# divisions: those in the code that handles secrets, as "file function"
divisions()
{
	for o in "$out"/mlkem768*.o "$out"/memory.o "$out"/x25519-*.o "$out"/unlinked/*.o; do
		objdump -d --no-show-raw-insn "$o" | awk -v file="$(basename "$o")" '
			/^[0-9a-f]+ <.*>:$/ { name = $2 }
			$2 ~ /^i?div[bwlq]?$|^[us]div$|^divw?u?$/ { print file, name }' | sort -u
	done
}

# 0 if DIR/log says all is well
combination()
{
	if ! build "$1" "$2" >"$out.log" 2>&1; then
		echo "does not build:"
		tail -n 20 "$out.log"
		return 1
	fi
	found=$(divisions | tr '\n' ' ')
	if [ -n "$found" ]; then
		echo "divides: $found"
		return 1
	fi
	if valgrind --num-callers=8 --log-file="$out.valgrind" "$out/ct" >"$out.log" 2>&1; then
		cat "$out.log"
		return 0
	fi
	echo "FAILED"
	cat "$out.log"
	# The places, without those of the leaks that are meant to be found.
	awk -v RS='==[0-9]+== \n' '/depends on uninit|Use of uninit/ && !/leaks_by_/' \
		"$out.valgrind" | head -n 60
	return 1
}

for compiler in $compilers; do
	for level in -O2 -O3; do
		out="$dir/$(basename "$compiler")$level"
		mkdir -p "$dir"
		printf 'check-ct: %s %s: ' "$compiler" "$level"
		combination "$compiler" "$level" || failed=1
	done
done
exit "$failed"
