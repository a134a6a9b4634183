#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What emit_sv generates from tlm/spec is checked in and current. Usage: generated.sh EMIT_SV [--update]
set -euo pipefail
emit=$1
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/rtl/gen" "$work/tlm/spec" "$work/waves/filters"
"$emit" package > "$work/rtl/gen/vtd_pkg.sv"
"$emit" registers > "$work/tlm/spec/registers.md"
for name in $("$emit" filters); do "$emit" filter "$name" > "$work/waves/filters/$name.txt"; done
if [ "${2:-}" = --update ]; then cp -r "$work"/. .; exit 0; fi
status=0
for file in rtl/gen/vtd_pkg.sv tlm/spec/registers.md; do diff -u "$file" "$work/$file" || status=1; done
diff -ru waves/filters "$work/waves/filters" || status=1
[ $status = 0 ] || echo "run tests/style/generated.sh EMIT_SV --update"
exit $status
