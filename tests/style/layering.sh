#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The include rule: spec <- core <- unit <- soc <- sim, and spec <- firmware <- sim; core knows neither SystemC nor
# Verilator. Usage: layering.sh [TREE]; `layering.sh --selftest` plants each violation in a copy and wants it found.
set -euo pipefail
cd "$(dirname "$0")/../.."

# forbidden ROOM PATTERN: files of the room must not include what the pattern matches.
rules() {
  cat <<'RULES'
tlm/spec ^#include "(?!tlm/spec/)
tlm/spec ^#include <(systemc|tlm|verilated)
tlm/core ^#include "(?!tlm/(spec|core)/)
tlm/core ^#include <(systemc|tlm|verilated|V)
tlm/core \bsc_core::|\bsc_time\b
tlm/unit ^#include "(?!(tlm/(spec|core|unit)/|Vvtd_walker))
tlm/soc ^#include "(?!tlm/(spec|core|unit|soc)/)
firmware ^#include "(?!(tlm/spec|firmware)/)
firmware ^#include <(systemc|tlm|verilated|iostream|string|vector|map)>
sim ^#include "(?!(tlm/(spec|core|unit|soc)|firmware|sim)/)
RULES
}

check() {
  local tree=$1 found=0 room pattern hits
  while read -r room pattern; do
    # make_image.cpp runs on the host, at build time.
    hits=$(find "$tree/$room" -name '*.h' -o -name '*.cpp' | grep -v firmware/boot/make_image.cpp | xargs grep -nP "$pattern" || true)
    [ -z "$hits" ] || { echo "$room must not have this (rule: $pattern):"; echo "$hits"; found=1; }
  done < <(rules)
  return $found
}

selftest() {
  local copy failed=0 file line
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' RETURN
  while read -r file line; do
    rm -rf "${copy:?}"/*
    cp -r --parents tlm firmware sim "$copy"
    echo "$line" >> "$copy/$file"
    if check "$copy" > /dev/null; then echo "not found: $line in $file"; failed=1; fi
  done <<'PLANTS'
tlm/spec/types.h #include "tlm/core/unit.h"
tlm/core/unit.h #include <systemc>
tlm/core/unit.cpp #include "tlm/unit/timing.h"
tlm/core/iotlb.cpp #include <verilated.h>
tlm/unit/statistics.h #include "tlm/soc/bus.h"
tlm/soc/bus.h #include "sim/runner.h"
tlm/soc/platform.cpp #include "firmware/liveupdate/abi.h"
firmware/iommu/iommu.h #include "tlm/core/unit.h"
firmware/hal/hal.h #include <vector>
sim/runner.cpp #include "tests/support/fake_memory.h"
PLANTS
  return $failed
}

if [ "${1:-}" = --selftest ]; then selftest; else check "${1:-.}"; fi
