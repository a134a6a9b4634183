#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A run of Linux is recorded, and is the same again under every walker and with another IOTLB.
# Usage: recorded.sh VTDSIM DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/../.."
vtdsim=$1 directory=$2
mkdir -p "$directory"
sim/linux vfio --simulator "$vtdsim" --out "$directory" --record "$directory/vfio.rec" || exit $?
for options in "" "--walker model" "--walker lockstep" "--iotlb 4"; do
  echo "replay $options"
  # shellcheck disable=SC2086
  "$vtdsim" replay "$directory/vfio.rec" --out "$directory/replay" $options
done
