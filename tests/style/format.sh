#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every C++ file is as clang-format 14 with the root's .clang-format leaves it. `format.sh --fix` rewrites them.
set -euo pipefail
cd "$(dirname "$0")/../.."
format=$(command -v clang-format-14) || { echo "clang-format-14 is missing: apt-get install clang-format-14"; exit 1; }
mapfile -t files < <(find tlm firmware sim tests -name '*.h' -o -name '*.cpp' | sort)
if [ "${1:-}" = --fix ]; then exec "$format" -i "${files[@]}"; fi
exec "$format" --dry-run -Werror "${files[@]}"
