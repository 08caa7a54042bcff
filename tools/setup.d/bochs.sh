# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Bochs with its firmware and its repairs; read by tools/setup.

# The suite of Debian whose Bochs starts UEFI firmware (Debian 12's 2.7 does not).
bochs_suite=forky
bochs_tree_packages='bochs bochs-term bochsbios vgabios ovmf'

bochs_is_new() {
	[ -x /usr/bin/bochs-bin ] || [ -x /usr/bin/bochs ] || return 1
	version=$(dpkg-query -W -f '${Version}' bochs 2>/dev/null) && dpkg --compare-versions "$version" ge 3.1 &&
		[ -z "$(missing_packages bochs-term vgabios ovmf)" ]
}

bochs_tree() {
	stale "$made/bochs-tree/whole" "$top/tools/setup.d/bochs.sh" || return 0
	lock
	stale "$made/bochs-tree/whole" "$top/tools/setup.d/bochs.sh" || return 0
	bochs_set=bochs-$bochs_suite-$(printf %s "$bochs_tree_packages" | cksum | cut -d' ' -f1)
	[ -e "$cache/sets/$bochs_set" ] || say "fetching Bochs from Debian $bochs_suite (about 100 MB) into $cache"
	# shellcheck disable=SC2086 # a list
	fetch_closure "$bochs_set" "$bochs_suite" amd64 $bochs_tree_packages || die "Bochs: $why"
	say "unpacking Bochs"
	set_unpack "$bochs_set" "$made/bochs-tree"
	touch "$made/bochs-tree/whole"
}

# Writes the command that starts Bochs with its repairs. It finds its parts beside itself.
bochs_command() {
	if bochs_is_new; then
		cat <<-'END'
			#!/bin/sh
			# Starts this system's Bochs with its repairs. Written by tools/setup. --root: where its files lie.
			[ "${1-}" != --root ] || { echo /; exit; }
			here=$(cd "$(dirname "$0")" && pwd)
			program=/usr/bin/bochs-bin
			[ -x "$program" ] || program=/usr/bin/bochs
			LD_PRELOAD=$here/bochsfix.so exec "$program" "$@"
		END
	else
		cat <<-'END'
			#!/bin/sh
			# Starts the unpacked Bochs with its repairs. Written by tools/setup. --root: where its files lie.
			root=$(cd "$(dirname "$0")" && pwd)/bochs-tree
			[ "${1-}" != --root ] || { echo "$root"; exit; }
			lib=$root/usr/lib/x86_64-linux-gnu
			export LTDL_LIBRARY_PATH="$lib/bochs/plugins" BXSHARE="$root/usr/share/bochs"
			exec "$lib/ld-linux-x86-64.so.2" --preload "$root/../bochsfix.so" --library-path "$lib" \
				"$root/usr/bin/bochs-bin" "$@"
		END
	fi
}

bochs_repairs() {
	fix=$made/bochsfix.so
	! stale "$fix" "$top"/tools/bochsfix/*.c &&
		! stale "$made/bochs" "$top/tools/setup.d/bochs.sh" && return 0
	lock
	say "building the repairs of Bochs (tools/bochsfix)"
	logged gcc -O2 -Wall -Wextra -fPIC -shared -o "$fix.part" "$top"/tools/bochsfix/*.c ||
		die "tools/bochsfix does not build"
	mv "$fix.part" "$fix"
	rm -f "$made/bochs"
	# Bochs must start with the repairs before the command gets its name.
	bochs_command >"$made/bochs.part"
	chmod 755 "$made/bochs.part"
	logged "$made/bochs.part" --help cpu || die "Bochs does not start with its repairs; see $log"
	mv "$made/bochs.part" "$made/bochs"
	awk '/^--- / { n = 0 } /^bochsfix:/ { line[n++] = $0 } END { for (i = 0; i < n; i++) print "setup: " line[i] }' \
		"$log" >&2
}

bochs() {
	# shellcheck disable=SC2086 # a list
	packages $bochs_packages
	bochs_is_new || bochs_tree
	bochs_repairs
}
