# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A pristine Debian 12 in a folder, and how to enter it; read by .ci/run, whose $work, $top, say and fail it uses.
# shellcheck disable=SC2154

# Prints this machine's settings of apt for the network (proxies, certificates, retries ...), as lines of an apt.conf.
apt_settings() {
	apt-config dump --no-empty --format '%F "%v";%n' | grep -E '^(Acquire|acquire)::' || true
}

# Makes the root: root_make FOLDER LOG. Its apt is set up as this machine's.
root_make() {
	local root=$1 log=$2 uri keyring file etc
	: >"$log"
	read -r uri keyring < <(tools/setup mirror) && [ -n "$uri" ] || return 1
	apt_settings >"$work/apt.conf"
	mmdebstrap --variant=minbase --include=git,make,ca-certificates --aptopt="$work/apt.conf" bookworm "$root" \
		"deb ${keyring:+[signed-by=$keyring]} $uri bookworm main" >"$log" 2>&1 </dev/null || return 1
	for etc in resolv.conf hosts; do
		[ ! -e /etc/$etc ] || cp -L /etc/$etc "$root/etc/$etc"
	done
	# Where this machine is a Debian 12, too, its sources, pins and keys are the root's; else that one mirror is.
	if [ "$(. /etc/os-release && echo "${ID:-} ${VERSION_CODENAME:-}")" = 'debian bookworm' ]; then
		rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d
		for etc in sources.list sources.list.d preferences preferences.d auth.conf auth.conf.d keyrings trusted.gpg trusted.gpg.d; do
			[ ! -e /etc/apt/$etc ] || cp -aLT /etc/apt/$etc "$root/etc/apt/$etc"
		done
		cp -a /usr/share/keyrings/. "$root/usr/share/keyrings/"
	fi
	# Certificates of this machine's own, and files that its settings name.
	[ ! -d /usr/local/share/ca-certificates ] || cp -aL /usr/local/share/ca-certificates "$root/usr/local/share/"
	[ ! -e /etc/ssl/certs/ca-certificates.crt ] ||
		cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
	sed -n 's/^[^"]*"\(\/[^"]*\)";$/\1/p' "$work/apt.conf" | while read -r file; do
		[ -f "$file" ] && [ ! -e "$root$file" ] || continue
		mkdir -p "$root${file%/*}"
		cp -L "$file" "$root$file"
	done
}

# Runs a shell command in a root: root_enter FOLDER CACHE MINUTES COMMAND. The command sees the machine's network, a /proc of
# its own processes, /dev with little in it, and CACHE where tools/setup looks for it.
root_enter() {
	mkdir -p "$1/root/.cache/lethe"
	# exec: the caller's $! is what must be killed, and with it the first process of the namespace ends, and all others.
	# shellcheck disable=SC2016 # the inner shell expands it
	exec unshare --mount --propagation private --pid --fork --kill-child \
		bash -c '
			set -e
			root=$1 cache=$2 minutes=$3 command=$4
			mount -t proc proc "$root/proc"
			mount --rbind /sys "$root/sys" && mount -o remount,bind,ro "$root/sys"
			mount -t tmpfs -o mode=755,size=4m tmpfs "$root/dev"
			for name in null zero full random urandom tty kvm; do
				[ -c /dev/$name ] || continue
				: >"$root/dev/$name"
				mount --bind /dev/$name "$root/dev/$name"
			done
			mkdir "$root/dev/pts" "$root/dev/shm"
			mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$root/dev/pts"
			mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
			ln -s pts/ptmx "$root/dev/ptmx"
			ln -s /proc/self/fd "$root/dev/fd"
			ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"
			mount --bind "$cache" "$root/root/.cache/lethe"
			set -- PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=vt100
			for name in CI http_proxy https_proxy no_proxy ftp_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY DEBIAN_MIRROR DEBIAN_KEYRING; do
				[ -z "${!name:-}" ] || set -- "$@" "$name=${!name}"
			done
			cd /
			exec timeout --foreground --kill-after=10 "${minutes}m" chroot "$root" env -i "$@" sh -c "$command"
		' enter "$@"
}

# Clones this commit into a root: clone_into ROOT FOLDER.
clone_into() {
	mkdir -p "$1$2"
	GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' \
		git clone -q --no-hardlinks "file://$top" "$1$2" 2>&1 | grep -v 'shallow' || true
	[ "$(git -C "$1$2" rev-parse HEAD)" = "$(git rev-parse HEAD)" ] || fail "the clone is not of this commit"
}

# Writes what there is to do in a Containerfile, a line for each RUN and `COPY . .`, to a file: container_steps FILE STEPS.
# Fails at a line that is neither. WORKDIR is in $container_folder then.
container_steps() {
	container_folder=/
	: >"$2"
	local line
	while IFS= read -r line; do
		case $line in
		'' | '#'* | 'FROM debian:12' | 'CMD ["make", "run"]') ;;
		'WORKDIR '*) container_folder=${line#WORKDIR } ;;
		'RUN '*) printf 'mkdir -p %s && cd %s && %s\n' "$container_folder" "$container_folder" "${line#RUN }" >>"$2" ;;
		'COPY . .') echo "$line" >>"$2" ;;
		*) return 1 ;;
		esac
	done <"$1"
}

# The packages that apt installs in the root are kept in the cache, with their hashes: a later run need not fetch them. apt
# itself looks at no more than the size of what lies there.
archives_out() {
	local archives=$2/archives name
	[ -e "$archives/SHA256SUMS" ] || return 0
	(cd "$archives" && sha256sum --check --quiet SHA256SUMS 2>/dev/null | sed -n 's/: FAILED.*//p') >"$work/damaged" || true
	while IFS= read -r name; do
		say "the cache's $name is damaged or missing; it will be fetched anew"
		rm -f "$archives/$name"
	done <"$work/damaged"
	sed 's/^[0-9a-f]*  //' "$archives/SHA256SUMS" | while IFS= read -r name; do
		[ ! -e "$archives/$name" ] || cp "$archives/$name" "$1/var/cache/apt/archives/"
	done
}

archives_in() {
	local archives=$2/archives deb
	mkdir -p "$archives"
	(
		flock 7
		for deb in "$1"/var/cache/apt/archives/*.deb; do
			[ -e "$deb" ] || continue
			[ -e "$archives/${deb##*/}" ] || { cp "$deb" "$archives/.part" && mv "$archives/.part" "$archives/${deb##*/}"; }
			(cd "${deb%/*}" && sha256sum "${deb##*/}")
		done >"$work/sums"
		# What no run of today installs goes.
		for deb in "$archives"/*.deb; do
			grep -qF "  ${deb##*/}" "$work/sums" || rm -f "$deb"
		done
		mv "$work/sums" "$archives/SHA256SUMS.part" && mv "$archives/SHA256SUMS.part" "$archives/SHA256SUMS"
	) 7>"$archives/.lock"
}
