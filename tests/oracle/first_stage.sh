#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The oracle for first-stage tables: QEMU 10, fetched first. Exit status 77 (skipped) where that cannot be had.
#   tests/oracle/first_stage.sh VTD_ORACLE DIRECTORY
set -euo pipefail
oracle=$1
directory=$2
here=$(cd "$(dirname "$0")" && pwd)
qemu=$("$here/qemu10.sh" "$directory/qemu10") || {
  echo "skipped: QEMU 10 from Debian's backports is not to be had; apt-get install qemu-system-x86, and try" \
    "tests/oracle/qemu10.sh $directory/qemu10"
  exit 77
}
exec "$oracle" --mode first-stage --qemu "$qemu" --save "$directory"
