# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# Debian's archive, whatever this machine's own apt installs from; read by tools/setup.
#
# Packages that are unpacked rather than installed come in sets. A set is fetched once and then lies in the cache:
#     debs/         the packages as Debian made them
#     sets/NAME     a line "SHA256  FILE" for each package of the set NAME
# apt has checked each package against the archive's signed index when it is written down there; each later use checks
# the hashes, and fetches a damaged set anew. A set's name says what it was made from, so that clones of different
# commits share a cache.

# Prints "URI KEYRING" of Debian's archive: DEBIAN_MIRROR= where it is set, else what this machine's apt takes from
# Debian. Fails where there is neither. KEYRING may be empty: then apt's own keys are used.
mirror() {
	uri=${DEBIAN_MIRROR:-} signed=
	if [ -z "$uri" ]; then
		# shellcheck disable=SC2016,SC2046 # two words; $(...) within is apt's own notation
		set -- $(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)|$(SIGNED_BY)' \
			'Created-By: Packages' 2>/dev/null | awk -F'|' '
			# Security updates and backports are archives of their own, or name no suite that could be asked for.
			$1 != "Debian" || $2 != "Debian" || $4 != "main" || $5 !~ /^(https?|mirror[a-z+]*|tor[a-z+]*):/ { next }
			{ score = $3 !~ /[-\/]/ }
			best == "" || score > top { top = score; best = $5 " " ($6 ~ /^\// ? $6 : "") }
			END { print best }')
		uri=${1-} signed=${2-}
	fi
	case $uri in
	*://*) ;;
	'') return 1 ;;
	*) die "DEBIAN_MIRROR=$uri is no address: set it to one such as DEBIAN_MIRROR=http://mirror.example/debian" ;;
	esac
	for keyring in "${DEBIAN_KEYRING:-}" "${signed%%,*}" /usr/share/keyrings/debian-archive-keyring.pgp \
		/usr/share/keyrings/debian-archive-keyring.gpg; do
		[ -z "$keyring" ] || [ ! -e "$keyring" ] || break
		keyring=
	done
	printf '%s %s\n' "${uri%/}/" "$keyring"
}

# mirror(), with apt's lists read first where they are missing; ends with the reason where no mirror is known.
need_mirror() {
	mirror && return 0
	if [ "$(id -u)" = 0 ] && [ -z "${DEBIAN_MIRROR:-}" ]; then
		update_lists
		mirror && return 0
	fi
	die "no apt source on this machine is Debian's (or its lists are missing: apt-get update); set DEBIAN_MIRROR= to a mirror of Debian, such as DEBIAN_MIRROR=http://mirror.example/debian"
}

# Runs an apt program on the archive that archive_open has opened: archive apt-get|apt-cache ARGUMENTS.
archive() {
	program=$1
	shift
	"$program" -q -o APT::Architecture="$archive_arch" -o APT::Architectures="$archive_arch" \
		-o Dir::State="$archive_apt" -o Dir::State::lists="$archive_apt/lists" -o Dir::State::status="$archive_apt/status" \
		-o Dir::Cache="$archive_apt" -o Dir::Cache::archives="$archive_apt/archives" \
		-o Dir::Etc::SourceList="$archive_apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
		-o APT::Install-Recommends=false -o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::Check-Valid-Until=false "$@"
}

# Reads the index of a suite for an architecture into an apt of its own, with the network settings of this machine's:
# archive_open SUITE ARCHITECTURE. Fails where there is no such index, or its signature is not Debian's: $why says so.
archive_open() {
	archive_arch=$2
	# Relatives of Debian have its keys in a package, which they do not install by themselves.
	[ -n "${DEBIAN_KEYRING:-}" ] || ls /usr/share/keyrings/debian-archive-keyring.* >/dev/null 2>&1 ||
		packages debian-archive-keyring
	# shellcheck disable=SC2046 # two words
	set -- "$1" "$2" $(need_mirror)
	[ $# -ge 3 ] || exit 1
	archive_apt=$work/apt-$1-$2
	[ ! -e "$archive_apt/read" ] || return 0
	mkdir -p "$archive_apt/lists/partial" "$archive_apt/archives/partial"
	: >"$archive_apt/status"
	printf 'deb %s%s %s main\n' "${4:+[signed-by=$4] }" "$3" "$1" >"$archive_apt/sources.list"
	if logged archive apt-get -o APT::Update::Error-Mode=any update; then
		touch "$archive_apt/read"
		return 0
	fi
	rm -rf "$archive_apt"
	why="the index of Debian $1 ($2) at $3 could not be had, or does not verify with ${4:-the keys of apt}; see $log. \
DEBIAN_MIRROR= names another mirror, DEBIAN_KEYRING= another file of keys"
	return 1
}

# Whether the set $1 lies in the cache, whole. A damaged one is removed.
set_is_whole() {
	[ -e "$cache/sets/$1" ] || return 1
	(cd "$cache/debs" && sha256sum --check --strict --quiet "$cache/sets/$1") >>"$log" 2>&1 && return 0
	say "the cache's packages for $1 are damaged or incomplete; fetching them anew"
	sed 's/^[0-9a-f]*  //' "$cache/sets/$1" | while read -r file; do rm -f "$cache/debs/$file"; done
	rm -f "$cache/sets/$1"
	return 1
}

# Makes the set $1 of the packages in $work/apt-*/archives and $work/debs, which apt has fetched and checked.
set_write() {
	mkdir -p "$cache/sets" "$cache/debs"
	: >"$work/set"
	for deb in "$work"/apt-*/archives/*.deb "$work"/debs/*.deb; do
		[ -e "$deb" ] || continue
		(cd "${deb%/*}" && sha256sum "${deb##*/}") >>"$work/set"
		mv "$deb" "$cache/debs/"
	done
	[ -s "$work/set" ] || die "apt fetched no package for $1; see $log"
	mv "$work/set" "$cache/sets/$1"
}

# Prints the paths of the packages of the set $1.
set_debs() {
	sed "s|^[0-9a-f]*  |$cache/debs/|" "$cache/sets/$1"
}

# Writes the first file of the set $1 whose path matches $2 to $3; fails if no package has one.
set_file() {
	for deb in $(set_debs "$1"); do
		name=$(dpkg-deb --fsys-tarfile "$deb" | tar -tf - | grep -E "$2" | head -n 1)
		[ -n "$name" ] || continue
		dpkg-deb --fsys-tarfile "$deb" | tar -xOf - "$name" >"$3.part"
		chmod 755 "$3.part"
		mv "$3.part" "$3"
		return 0
	done
	say "no package of $1 has a file like $2"
	return 1
}

# Unpacks the set $1 into the folder $2, without what only an installed system needs.
set_unpack() {
	rm -rf "$2.part"
	mkdir -p "$2.part"
	for deb in $(set_debs "$1"); do
		dpkg-deb --fsys-tarfile "$deb" | tar -xf - -C "$2.part" --no-same-owner --wildcards --exclude='./dev/*' \
			--exclude='./etc/*' --exclude='./var/*' --exclude='./usr/share/doc/*' --exclude='./usr/share/locale/*' \
			--exclude='./usr/share/icons/*' --exclude='./usr/share/man/*' --exclude='./usr/libexec/*' ||
			die "$deb cannot be unpacked"
	done
	rm -rf "$2"
	mv "$2.part" "$2"
}

# Fetches packages with all that they need, as a set: fetch_closure SET SUITE ARCHITECTURE PACKAGE...
fetch_closure() {
	set_is_whole "$1" && return 0
	name=$1 suite=$2 arch=$3
	shift 3
	archive_open "$suite" "$arch" || return 1
	logged archive apt-get -y --download-only install "$@" || {
		why="apt could not fetch $* from Debian $suite; see $log"
		return 1
	}
	set_write "$name"
}

# An apt program on this machine's own sources, as archive() is one on Debian's: here apt-get|apt-cache ARGUMENTS.
here() {
	program=$1
	shift
	"$program" -q -o APT::Sandbox::User=root "$@"
}

# What holds a kernel, of the packages behind its metapackage: linux-image-VERSION, or where that is empty
# linux-binary-VERSION; with its modules, linux-modules-VERSION as well.
kernel_parts='image|binary'

# Prints the names of the packages that hold the kernel of the metapackage $2; $1: here or archive.
kernel_packages() {
	"$1" apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
		--no-enhances "$2" 2>>"$log" | sed 's/:[a-z0-9]*$//' | grep -E "^linux-($kernel_parts)-[0-9]+\." | sort -u
}

# Fetches packages, and nothing that they need, into $work/debs: fetch_debs here|archive PACKAGE... A kernel is named by its
# metapackage.
fetch_debs() {
	from=$1
	shift
	wanted=
	for package in "$@"; do
		case $package in
		linux-image-*) package=$(kernel_packages "$from" "$package") || return 1 ;;
		esac
		wanted="$wanted $package"
	done
	rm -rf "$work/debs"
	mkdir "$work/debs"
	# shellcheck disable=SC2086 # a list
	(cd "$work/debs" && logged "$from" apt-get download $wanted)
}

# Fetches packages from Debian's archive, as a set: fetch_packages SET SUITE ARCHITECTURE PACKAGE...
fetch_packages() {
	set_is_whole "$1" && return 0
	name=$1 suite=$2 arch=$3
	shift 3
	archive_open "$suite" "$arch" || return 1
	fetch_debs archive "$@" || {
		why="apt could not fetch $* from Debian $suite; see $log"
		return 1
	}
	set_write "$name"
}

# Fetches packages as this machine's own apt has them, security updates included, as a set: fetch_here SET PACKAGE...
fetch_here() {
	set_is_whole "$1" && return 0
	name=$1
	shift
	if ! have_lists "$1" || ! fetch_debs here "$@"; then
		[ "$(id -u)" = 0 ] || die "$* cannot be fetched; as root, run: apt-get update"
		# The lists are missing, or older than what the mirror still has.
		update_lists
		fetch_debs here "$@" || die "apt could not fetch $*; see $log"
	fi
	set_write "$name"
}
