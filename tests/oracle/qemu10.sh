#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# QEMU 10 from Debian's backports, unpacked into a directory and not installed: its intel-iommu has first-stage tables.
# Needs the packages of Debian's own qemu-system-x86 for libraries. Prints the command that runs it. Does nothing if it
# is there already.
#   tests/oracle/qemu10.sh DIRECTORY
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: qemu10.sh DIRECTORY" >&2; exit 2; }
mkdir -p "$1"
directory=$(cd "$1" && pwd)
program=$directory/root/usr/bin/qemu-system-x86_64
if [ ! -x "$program" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work"
  mkdir -p "$work/lists/partial" "$work/archives/partial"
  # Backports lie where this machine's Debian 12 comes from.
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' | sed -n 1p)
  [ -n "$mirror" ] || { echo "apt knows no archive of Debian 12: apt-get update" >&2; exit 77; }
  for suite in bookworm bookworm-backports; do echo "deb $mirror $suite main"; done > "$work/sources.list"
  # apt with lists of its own: the machine's sources and state stay as they are.
  own_apt() {
    apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
      -o Dir::State::lists="$work/lists" -o Dir::Cache="$work" -o Dir::Cache::archives="$work/archives" \
      -o APT::Sandbox::User=root -t bookworm-backports "$@"
  }
  own_apt update >&2
  cd "$work"
  own_apt download qemu-system-x86 qemu-system-common qemu-system-data seabios >&2
  for package in ./*.deb; do dpkg -x "$package" "$directory/root"; done
fi
missing=$(ldd "$program" | sed -n 's/ => not found//p')
[ -z "$missing" ] || { echo "QEMU 10 needs$missing: apt-get install qemu-system-x86" >&2; exit 77; }
echo "$program -L $directory/root/usr/share/qemu -L $directory/root/usr/share/seabios"
