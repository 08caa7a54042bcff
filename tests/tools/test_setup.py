# SPDX-License-Identifier: MIT
"""tools/setup on systems that are not here: a copy of tools/, with an apt that says what those systems' apt would say and
whose archive is a folder. What it fetches are packages, made here, with little in them."""

import os
import shutil
import subprocess
import tempfile
import textwrap
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
KEYS = "/usr/share/keyrings/debian-archive-keyring."

# Lines as `apt-get indextargets` prints them: ORIGIN|LABEL|RELEASE|COMPONENT|REPO_URI|SIGNED_BY
UBUNTU_2204 = """
    Ubuntu|Ubuntu|jammy|main|http://archive.example/ubuntu/|$(SIGNED_BY)
    Ubuntu|Ubuntu|jammy|universe|http://archive.example/ubuntu/|$(SIGNED_BY)
    Ubuntu|Ubuntu|jammy-updates|main|http://archive.example/ubuntu/|$(SIGNED_BY)
    Ubuntu|Ubuntu|jammy-security|main|http://security.example/ubuntu/|$(SIGNED_BY)
    Docker|Docker CE|jammy|stable|https://download.example/linux/ubuntu/|/etc/apt/keyrings/docker.gpg
"""
UBUNTU_2404 = """
    Ubuntu|Ubuntu|noble|main|http://archive.example/ubuntu/|/usr/share/keyrings/ubuntu-archive-keyring.gpg
    Ubuntu|Ubuntu|noble-updates|main|http://archive.example/ubuntu/|/usr/share/keyrings/ubuntu-archive-keyring.gpg
    Ubuntu|Ubuntu|noble-security|main|http://security.example/ubuntu/|/usr/share/keyrings/ubuntu-archive-keyring.gpg
    LP-PPA-some|some|noble|main|https://ppa.example/some/ubuntu/|/etc/apt/keyrings/some.gpg
"""
DEBIAN_12 = """
    Debian|Debian-Security|bookworm-security|main|http://one.example/security/|$(SIGNED_BY)
    Debian|Debian|bookworm-updates|main|http://one.example/os/|$(SIGNED_BY)
    Debian|Debian|bookworm|main|http://one.example/os/|$(SIGNED_BY)
"""
DEBIAN_13 = """
    Debian|Debian|trixie|main|https://one.example/os/|%sgpg
    Debian|Debian|trixie|non-free-firmware|https://one.example/os/|%sgpg
    Debian|Debian-Security|trixie-security|main|https://one.example/security/|%sgpg
""" % (KEYS, KEYS, KEYS)
# A derivative with its own packages before Debian's, backports, and a medium.
MIXED = """
    Mint|Mint|faye|main|http://packages.example/lmde/|$(SIGNED_BY)
    Debian|Debian|bookworm|main|cdrom:[Debian 12]/|$(SIGNED_BY)
    Debian Backports|Debian Backports|bookworm-backports|main|http://back.example/os/|$(SIGNED_BY)
    Debian|Debian|bookworm|main|http://mirror.example/os/|$(SIGNED_BY)
    Debian|Debian-Security|bookworm-security|main|http://security.example/|$(SIGNED_BY)
"""
# apt-get update has never run: apt knows no origin of any source.
NO_LISTS = "||bookworm|main|http://one.example/os/|$(SIGNED_BY)\n"

APT = r"""
    # apt-get and apt-cache of a made-up system, for test_setup.py.
    here=$(dirname "$0")
    list='' arguments=''
    while [ $# -gt 0 ]; do
        case $1 in
        -o) case $2 in Dir::Etc::SourceList=*) list=${2#*=} ;; esac; shift ;;
        -q | -y | --no-* | --recurse | --format | --download-only) ;;
        *) arguments="$arguments $1" ;;
        esac
        shift
    done
    set -- $arguments
    echo "${list:+$(cat "$list")}|$*" >>"$here/calls"
    case $* in
    *indextargets*) cat "$here/targets" ;;
    *update) [ ! -e "$here/unsigned" ] || exit 100 ;;
    'show '*) [ ! -e "$here/unknown" ] ;;
    'depends linux-image-cloud-amd64')
        printf '%s\n' linux-image-cloud-amd64 '  Depends: linux-image-9.1-cloud-amd64' linux-image-9.1-cloud-amd64 \
            linux-binary-9.1-cloud-amd64 linux-modules-9.1-cloud-amd64 initramfs-tools ;;
    'download '*)
        shift
        for package in "$@"; do cp "$here/packages/$package.deb" . || exit 100; done ;;
    *) echo "fake apt: $*" >&2; exit 100 ;;
    esac
"""

BUSYBOX = "#!/bin/sh\necho sh\n"  # the initramfs asks it for its list of applets

PACKAGES = {
    "linux-image-9.1-cloud-amd64": {},
    "linux-binary-9.1-cloud-amd64": {"boot/vmlinuz-9.1-cloud-amd64": "kernel"},
    "linux-modules-9.1-cloud-amd64": {"usr/lib/modules/9.1/kvm.ko": "module"},
    "busybox-static": {"usr/bin/busybox": BUSYBOX},
}


class System:
    """A system with a copy of tools/ and an apt of its own."""

    def __init__(self, directory, targets, os_id="ubuntu"):
        self.directory = directory
        self.bin = os.path.join(directory, "bin")
        os.makedirs(self.bin)
        for name in ("tools", "guest", "lib"):
            shutil.copytree(os.path.join(TOP, name), os.path.join(directory, name))
        for name in ("apt-get", "apt-cache"):
            self.tool(name, textwrap.dedent(APT))
        self.write("bin/targets", textwrap.dedent(targets).lstrip())
        self.write("bin/calls", "")
        self.write("os-release", "ID=%s\nVERSION_CODENAME=some\n" % os_id)

    def tool(self, name, script):
        """A program that this system's set-up finds before the real one."""
        self.write("bin/" + name, "#!/bin/sh\n" + script + "\n")
        os.chmod(os.path.join(self.bin, name), 0o755)

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)

    def read(self, name):
        with open(os.path.join(self.directory, name), encoding="utf-8") as file:
            return file.read()

    def make_packages(self):
        """Fills the archive."""
        os.makedirs(os.path.join(self.bin, "packages"))
        for package, files in PACKAGES.items():
            tree = "tree/" + package + "/"
            self.write(tree + "DEBIAN/control", "Package: %s\nVersion: 1\nArchitecture: all\n"
                       "Maintainer: Test <test@example.org>\nDescription: for a test\n" % package)
            for name, text in files.items():
                self.write(tree + name, text)
            subprocess.run(
                ["dpkg-deb", "--build", "--root-owner-group", os.path.join(self.directory, tree),
                 os.path.join(self.bin, "packages", package + ".deb")], check=True, stdout=subprocess.DEVNULL)

    def start(self, *words, **variables):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DEBIAN_")}
        environment.update(
            PATH=self.bin + ":" + os.environ["PATH"], OS_RELEASE=os.path.join(self.directory, "os-release"),
            LETHE_CACHE=os.path.join(self.directory, "cache"))
        environment.update(variables)
        return subprocess.Popen(
            [os.path.join(self.directory, "tools", "setup"), *words], env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)

    def run(self, *words, **variables):
        """Returns (exit status, output)."""
        child = self.start(*words, **variables)
        output = child.communicate()[0]
        return child.returncode, output

    def downloads(self):
        return sum("|download " in line for line in self.read("bin/calls").splitlines())


class Setup(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name

    def mirror(self, targets, **variables):
        status, output = System(self.directory, targets).run("mirror", **variables)
        return status, output.splitlines()[-1]

    def test_mirror_of_debian_12(self):
        status, line = self.mirror(DEBIAN_12)
        self.assertEqual((status, line.split()[0]), (0, "http://one.example/os/"))

    def test_mirror_of_debian_13_with_its_keys(self):
        self.assertEqual(self.mirror(DEBIAN_13), (0, "https://one.example/os/ %sgpg" % KEYS))

    def test_mirror_of_a_derivative_is_its_source_of_debian(self):
        status, line = self.mirror(MIXED)
        self.assertEqual((status, line.split()[0]), (0, "http://mirror.example/os/"))

    def test_ubuntu_2204_is_told_to_name_a_mirror(self):
        status, line = self.mirror(UBUNTU_2204)
        self.assertEqual(status, 1)
        self.assertRegex(line, r"^setup: no apt source on this machine is Debian's.*set DEBIAN_MIRROR=")

    def test_ubuntu_2404_is_told_to_name_a_mirror(self):
        status, line = self.mirror(UBUNTU_2404)
        self.assertEqual(status, 1)
        self.assertRegex(line, r"^setup: no apt source on this machine is Debian's.*set DEBIAN_MIRROR=")

    def test_source_of_unknown_origin_is_not_taken_for_debian(self):
        status, line = self.mirror(NO_LISTS)
        self.assertEqual(status, 1)
        self.assertRegex(line, "apt-get update.*DEBIAN_MIRROR=")

    def test_no_source_at_all(self):
        status, line = self.mirror("")
        self.assertEqual(status, 1)
        self.assertRegex(line, "DEBIAN_MIRROR=")

    def test_mirror_that_is_named(self):
        for targets in (UBUNTU_2404, DEBIAN_12):
            with self.subTest(targets), tempfile.TemporaryDirectory() as self.directory:
                status, line = self.mirror(targets, DEBIAN_MIRROR="http://near.example/os")
                self.assertEqual((status, line.split()[0]), (0, "http://near.example/os/"))

    def test_mirror_that_is_no_address(self):
        status, line = self.mirror(UBUNTU_2404, DEBIAN_MIRROR="one.example/os")
        self.assertEqual(status, 1)
        self.assertRegex(line, "is no address")

    def test_demo_on_ubuntu_comes_from_the_mirror(self):
        system = System(self.directory, UBUNTU_2404)
        system.make_packages()
        status, output = system.run("demo", DEBIAN_MIRROR="http://near.example/os")
        self.assertEqual(status, 0, output)
        self.assertEqual(system.read("build/setup/demo/vmlinuz"), "kernel")
        self.assertEqual(system.read("build/setup/demo/modules/kvm.ko"), "module")
        self.assertTrue(os.path.exists(os.path.join(self.directory, "build/setup/demo/initrd.img")))
        self.assertRegex(system.read("bin/calls"), r"deb .*http://near\.example/os/ bookworm main\|download .*linux-")

    def test_demo_on_ubuntu_without_mirror_ends_in_words(self):
        status, output = System(self.directory, UBUNTU_2204).run("demo")
        self.assertEqual(status, 1)
        self.assertRegex(output.splitlines()[-1], "no apt source on this machine is Debian's.*set DEBIAN_MIRROR=")

    def test_demo_on_debian_comes_from_its_own_apt(self):
        system = System(self.directory, DEBIAN_12, "debian")
        system.make_packages()
        status, output = system.run("demo")
        self.assertEqual(status, 0, output)
        self.assertRegex(system.read("bin/calls"), r"(?m)^\|download .*linux-binary-9\.1-cloud-amd64")

    def test_index_that_does_not_verify_is_said(self):
        system = System(self.directory, UBUNTU_2404)
        system.write("bin/unsigned", "")
        status, output = system.run("demo", DEBIAN_MIRROR="http://near.example/os")
        self.assertEqual(status, 1)
        self.assertRegex(output, r"could not be had, or does not verify")
        self.assertEqual(system.downloads(), 0)

    def test_guests_that_cannot_be_had_are_skipped_with_the_reason(self):
        system = System(self.directory, DEBIAN_12, "debian")
        system.write("bin/unsigned", "")
        status, output = system.run("guests")
        self.assertEqual(status, 0, output)
        self.assertRegex(output, r"skipped: guests/vmlinuz-testing: the index of Debian \w+ \(amd64\).*does not verify")

    def test_damaged_package_is_fetched_anew(self):
        system = System(self.directory, DEBIAN_12, "debian")
        system.make_packages()
        self.assertEqual(system.run("demo")[0], 0)
        path = os.path.join(self.directory, "cache", "debs", "busybox-static.deb")
        with open(path, "r+b") as file:
            file.seek(100)
            file.write(b"x")
        shutil.rmtree(os.path.join(self.directory, "build"))
        status, output = system.run("demo")
        self.assertEqual(status, 0, output)
        self.assertIn("damaged", output)
        self.assertEqual((system.read("build/setup/demo/busybox"), system.downloads()), (BUSYBOX, 2))

    def test_second_clone_takes_what_is_cached(self):
        system = System(self.directory, DEBIAN_12, "debian")
        system.make_packages()
        self.assertEqual(system.run("demo")[0], 0)
        shutil.rmtree(os.path.join(self.directory, "build"))
        status, output = system.run("demo")
        self.assertEqual((status, system.downloads()), (0, 1), output)

    def test_missing_packages_are_named_to_a_user(self):
        system = System(self.directory, DEBIAN_12, "debian")
        system.tool("dpkg-query", "printf 'installed gcc\\n'")
        system.tool("id", "echo 1000")
        status, output = system.run("build")
        self.assertEqual(status, 1)
        self.assertRegex(output, r"^setup: these packages are missing; as root, run:\n"
                                 r"    apt-get update && apt-get install --no-install-recommends libc6-dev make nasm ")

    def test_system_without_dpkg_is_told_what_to_install(self):
        system = System(self.directory, "", "fedora")
        for name in ("apt-get", "apt-cache"):
            os.unlink(os.path.join(system.bin, name))
        for name in ("sh", "dirname", "sed", "gcc", "make"):
            os.symlink(shutil.which(name), os.path.join(system.bin, name))
        status, output = system.run("build", PATH=system.bin)
        self.assertEqual(status, 1)
        self.assertRegex(output, r"no Debian-like system .*by hand.*: .*\bnasm\b")
        self.assertNotRegex(output, r" (gcc|make)\b")

    def test_two_at_a_time_fetch_once(self):
        system = System(self.directory, DEBIAN_12, "debian")
        system.make_packages()
        children = [system.start("demo") for _ in range(2)]
        outputs = [child.communicate()[0] for child in children]
        self.assertEqual([child.returncode for child in children], [0, 0], outputs)
        self.assertEqual(system.downloads(), 1)


if __name__ == "__main__":
    unittest.main()
