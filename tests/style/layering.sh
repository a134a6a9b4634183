#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The include rule: spec <- core <- unit <- soc <- sim, and spec <- firmware <- sim; core knows neither SystemC nor
# Verilator. Usage: layering.sh [TREE]; `layering.sh --selftest` plants each violation in a copy and wants it found.
set -euo pipefail
cd "$(dirname "$0")/../.."

# forbidden ROOM PATTERN: files of the room must not include what the pattern matches.
rules() {
  cat <<'RULES'
tlm/spec ^\s*#\s*include\s*["<](?!tlm/spec/)[^">]*/
tlm/spec ^\s*#\s*include\s*["<](systemc|tlm\b(?!/spec/)|verilated|V[a-z])
tlm/core ^\s*#\s*include\s*["<](?!tlm/(spec|core)/)[^">]*/
tlm/core ^\s*#\s*include\s*["<](systemc|tlm\b(?!/(spec|core)/)|verilated|V[a-z])
tlm/core \bsc_core::|\bsc_time\b
tlm/unit ^\s*#\s*include\s*["<](?!(tlm/(spec|core|unit)|tlm_utils|fmt|sanitizer)/)[^">]*/
tlm/soc ^\s*#\s*include\s*["<](?!(tlm/(spec|core|unit|soc)|tlm_utils|fmt|sys|unicorn)/)[^">]*/
tlm/soc ^\s*#\s*include\s*["<](verilated|V[a-z])
firmware ^\s*#\s*include\s*["<](?!(tlm/spec|firmware)/)[^">]*/
firmware ^\s*#\s*include\s*<(?!(c?stdint|c?stddef|array|bit|concepts|limits|span|type_traits|utility|new|optional|string_view|tuple|initializer_list|algorithm|atomic)(\.h)?>|tlm/spec/|firmware/)
sim ^\s*#\s*include\s*["<](?!(tlm/(spec|core|unit|soc)|firmware|sim|yaml-cpp|nlohmann|CLI|fmt|sys|linux|tlm_utils)/)[^">]*/
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
  check . || { echo "the tree itself is not clean, so nothing is proved"; return 1; }
  while read -r file line; do
    rm -rf "${copy:?}"/*
    cp -r --parents tlm firmware sim "$copy"
    [ -f "$copy/$file" ] || { echo "$file is not there: plant it elsewhere"; failed=1; continue; }
    echo "$line" >> "$copy/$file"
    if check "$copy" > /dev/null; then echo "not found: $line in $file"; failed=1; fi
  done <<'PLANTS'
tlm/spec/types.h #include "tlm/core/unit.h"
tlm/spec/types.h #include <systemc>
tlm/core/unit.h #include <systemc>
tlm/core/unit.cpp #include "tlm/unit/timing.h"
tlm/core/unit.cpp #include <tlm/unit/timing.h>
tlm/core/unit.cpp #  include <tlm>
tlm/core/iotlb.cpp #include <verilated.h>
tlm/core/iotlb.cpp sc_core::sc_time when;
tlm/unit/statistics.h #include "tlm/soc/bus.h"
tlm/unit/statistics.h #include "sim/runner.h"
tlm/soc/bus.h #include "sim/runner.h"
tlm/soc/bus.cpp #include <verilated.h>
tlm/soc/platform.cpp #include "firmware/liveupdate/abi.h"
firmware/iommu/iommu.h #include "tlm/core/unit.h"
firmware/iommu/iommu.h #include "tlm/unit/timing.h"
firmware/iommu/iommu.h #include "tlm/soc/bus.h"
firmware/app/main.cpp #include "sim/runner.h"
firmware/hal/hal.h #include <vector>
firmware/hal/hal.h #include <systemc.h>
sim/runner.cpp #include "tests/support/fake_memory.h"
PLANTS
  return $failed
}

if [ "${1:-}" = --selftest ]; then selftest; else check "${1:-.}"; fi
