# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# The demo guest: Debian's kernel, an initramfs with busybox, and the native loader; read by tools/setup.

# Where the system is not Debian, the kernel and busybox are those of this suite.
demo_suite=bookworm

# The modules of that kernel which the nested tests load: KVM, and a disk (tests/nested). A kernel that has one of the
# disk's built in has no file for it.
kernel_modules='irqbypass|kvm|kvm-intel|scsi_common|scsi_mod|sd_mod|libata|ata_piix'

# Takes the modules out of the packages of the set $1 into the folder $2. They may be compressed.
take_modules() {
	rm -rf "$2.part"
	mkdir "$2.part"
	for deb in $(set_debs "$1"); do
		dpkg-deb --fsys-tarfile "$deb" >"$work/data.tar"
		for file in $(tar -tf "$work/data.tar" | grep -E "/($kernel_modules)\.ko(\.xz)?\$"); do
			tar -xOf "$work/data.tar" "$file" >"$2.part/${file##*/}"
		done
	done
	rm -rf "$2"
	mv "$2.part" "$2"
}

# The kernel and its modules must be of one version: all is taken out of the packages when one file is missing.
demo_files() {
	stale "$made/demo/whole" "$top/tools/setup.d/demo.sh" || return 0
	lock
	stale "$made/demo/whole" "$top/tools/setup.d/demo.sh" || return 0
	kernel_parts='image|binary|modules'
	if [ "$(os_id)" = debian ] && [ -z "${DEBIAN_MIRROR:-}" ]; then
		demo_set=demo-$(os_codename)
		[ -e "$cache/sets/$demo_set" ] || say "fetching the demo guest's kernel and busybox, as Debian made them"
		fetch_here "$demo_set" linux-image-cloud-amd64 busybox-static
	else
		demo_set=demo-$demo_suite-mirror
		[ -e "$cache/sets/$demo_set" ] ||
			say "fetching the demo guest's kernel and busybox from Debian $demo_suite, as Debian made them"
		fetch_packages "$demo_set" "$demo_suite" amd64 linux-image-cloud-amd64 busybox-static ||
			die "the demo guest: $why"
	fi
	kernel_parts='image|binary'
	mkdir -p "$made/demo"
	take_modules "$demo_set" "$made/demo/modules"
	set_file "$demo_set" '^\./(usr/lib/[a-z/]*|boot/)vmlinuz-' "$made/demo/vmlinuz" || exit 1
	set_file "$demo_set" '^\./(usr/)?bin/busybox$' "$made/demo/busybox" || exit 1
	touch "$made/demo/whole"
}

demo_initramfs() {
	from=$top/tools/initramfs
	image=$made/demo/initrd.img
	stale "$image" "$from/init" "$from/tsc.c" "$from/load.c" "$from/procs.c" "$from/romread" "$from/twin" "$from/build" "$from/newc.py" \
		"$made/demo/busybox" || return 0
	lock
	say "building the demo guest's initramfs"
	for program in tsc load procs; do
		logged gcc -Os -Wall -Wextra -ffreestanding -fno-pie -no-pie -static -nostdlib -fno-stack-protector \
			-fcf-protection=none -fno-tree-loop-distribute-patterns -Wl,--build-id=none -s \
			-o "$made/demo/$program.part" "$from/$program.c" || die "tools/initramfs/$program.c does not build"
	done
	logged python3 "$from/build" "$image.part" "$from/init" "$made/demo/busybox" \
		"$made/demo/tsc.part" "$made/demo/load.part" "$made/demo/procs.part" "$from/romread" "$from/twin" || die "the initramfs could not be built"
	rm "$made/demo/tsc.part" "$made/demo/load.part" "$made/demo/procs.part"
	mv "$image.part" "$image"
}

# The loader that lets the firmware start a kernel without Lethe, for comparison (tools/run --native).
demo_native() {
	stale "$made/demo/native.efi" "$top/tools/native/native.c" "$top/tools/native/native.h" "$top/tools/native/multiboot.c" \
		"$top/tools/native/build" "$top/guest/load/linux_boot.h" "$top/guest/load/multiboot_format.h" \
		"$top/guest/dev/layout.h" || return 0
	lock
	say "building the native loader (tools/native)"
	logged "$top/tools/native/build" "$made/demo/native.efi.part" || die "tools/native does not build"
	mv "$made/demo/native.efi.part" "$made/demo/native.efi"
}

demo() {
	# shellcheck disable=SC2086 # a list
	packages $build_packages
	demo_files
	demo_initramfs
	demo_native
}
