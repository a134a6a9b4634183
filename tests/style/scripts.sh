#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Scripts parse, are executable, say --help; saved views and docs name files that exist.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0
complain() { echo "$*"; status=1; }
for script in sim/run sim/test waves/open waves/shot .ci/run; do
  bash -n "$script" || complain "$script does not parse"
  [ -x "$script" ] || complain "$script is not executable"
done
for script in sim/run sim/test waves/open waves/shot; do
  "$script" --help | grep -q "$script" || complain "$script --help does not show how to call it"
done
for view in waves/*.gtkw; do
  while read -r filter; do [ -f "$filter" ] || complain "$view: no filter file $filter"; done < <(sed -n 's/^\^1 //p' "$view")
  grep -qE '(^|[^.a-z])/[a-z]+/' "$view" && complain "$view has an absolute path"
done
for page in README.md waves/README.md tlm/README.md; do
  while read -r link; do
    [ -e "$(dirname "$page")/$link" ] || complain "$page links to $link, which is not there"
  done < <(grep -oP '\]\(\K[^)#:]+(?=\))' "$page")
done
[ "$(wc -l < README.md)" -le 90 ] || complain "README.md is longer than 90 lines"
exit $status
