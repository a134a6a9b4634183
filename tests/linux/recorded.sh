#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A run of Linux is recorded, and is the same again under every walker and with another IOTLB.
# Usage: recorded.sh VTDSIM DIRECTORY TEST [OPTIONS OF sim/linux...]
set -euo pipefail
cd "$(dirname "$0")/../.."
vtdsim=$1 directory=$2 test=$3
shift 2
mkdir -p "$directory"
sim/linux "$@" --simulator "$vtdsim" --out "$directory" --record "$directory/$test.rec" || exit $?
for options in "--walker rtl" "--walker model" "--walker lockstep" "--walker model --iotlb 4"; do
  echo "replay $test $options"
  # shellcheck disable=SC2086
  "$vtdsim" replay "$directory/$test.rec" --out "$directory/replay" $options
done
