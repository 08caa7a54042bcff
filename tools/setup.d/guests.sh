# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Guests that other people made, for tests: files in build/setup/guests; read by tools/setup.
#     memtest86+            Debian's memtest86+ for x86-64, a bzImage
#     vmlinuz-i386-686      Debian's i386 kernel without PAE
#     vmlinuz-i386-686-pae  the same with PAE
#     busybox-i386          a static i386 busybox for the two
#     xen.gz                Debian's Xen, a multiboot kernel that asks the BIOS
#     ipxe.lkrn, memdisk    images with a Linux header that cannot do without a BIOS
#     vmlinuz-testing       the cloud kernel of Debian testing
# What cannot be had is skipped, with the reason: a mirror may lack a suite, or its index may not verify.

guests_suite=bookworm

# Takes a file out of a package: guest_file NAME SUITE ARCHITECTURE PACKAGE PATTERN
guest_file() {
	file=$made/guests/$1
	stale "$file" "$top/tools/setup.d/guests.sh" || return 0
	lock
	stale "$file" "$top/tools/setup.d/guests.sh" || return 0
	set_name=guest-$4-$2-$3
	[ -e "$cache/sets/$set_name" ] || say "fetching $4 ($3) of Debian $2"
	mkdir -p "$made/guests"
	if ! fetch_packages "$set_name" "$2" "$3" "$4"; then
		say "skipped: guests/$1: $why"
		return 0
	fi
	set_file "$set_name" "$5" "$file" || say "skipped: guests/$1: $4 holds no such file"
}

guests() {
	guest_file memtest86+ "$guests_suite" amd64 memtest86+ '^\./boot/m(emtest86\+|t86\+_?)x64(\.bin)?$'
	guest_file vmlinuz-i386-686 "$guests_suite" i386 linux-image-686 '^\./boot/vmlinuz-'
	guest_file vmlinuz-i386-686-pae "$guests_suite" i386 linux-image-686-pae '^\./boot/vmlinuz-'
	guest_file busybox-i386 "$guests_suite" i386 busybox-static '^\./(usr/)?bin/busybox$'
	guest_file xen.gz "$guests_suite" amd64 xen-hypervisor-4.17-amd64 '^\./boot/xen-[^/]*\.gz$'
	guest_file ipxe.lkrn "$guests_suite" amd64 ipxe '^\./boot/ipxe\.lkrn$'
	guest_file memdisk "$guests_suite" amd64 syslinux-common '^\./usr/lib/syslinux/memdisk$'
	guest_file vmlinuz-testing "$bochs_suite" amd64 linux-image-cloud-amd64 '^\./(usr/lib/[^ ]*/|boot/)vmlinuz-?'
}
