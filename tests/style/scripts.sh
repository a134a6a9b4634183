#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Scripts parse, are executable, say --help; saved views and docs name files, stories, options and injection places
# that exist. Usage: scripts.sh VTDSIM
set -euo pipefail
vtdsim=$1
cd "$(dirname "$0")/../.."
status=0
complain() { echo "$*"; status=1; }
for script in sim/run sim/test waves/open waves/shot .ci/run tests/style/*.sh tests/sim/*.sh; do
  bash -n "$script" || complain "$script does not parse"
  [ -x "$script" ] || complain "$script is not executable"
done
for script in sim/run sim/test sim/regress sim/linux waves/open waves/shot tests/sim/slurm_cluster.sh; do
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

# Commands in the docs: the script is there, the story is in the catalogue, the option and the place are known.
stories=$("$vtdsim" list)
options=$("$vtdsim" run --help; "$vtdsim" --help; "$vtdsim" serve --help; "$vtdsim" replay --help; for s in sim/run sim/test sim/regress sim/linux waves/shot waves/open; do "$s" --help; done
          grep -h '^#.*--' tests/style/*.sh)
places=$("$vtdsim" explain places; "$vtdsim" explain image)
for page in README.md waves/README.md tlm/README.md .github/CONTRIBUTING.md; do
  while read -r command first rest; do
    [ -x "$command" ] || { [[ $command == build/* ]] || complain "$page: $command is not there"; }
    case "$command $first" in
      sim/run\ [a-z]* | waves/*\ [a-z]*)
        [[ $first == live_update ]] || grep -qE "(^| )$first([ ,)]|$)" <<< "$stories" || complain "$page: no story $first" ;;
    esac
    for word in $first $rest; do
      case "$word" in
        --*) grep -qE -- "(^|[^a-z-])$word([^a-z-]|$)" <<< "$options" || complain "$page: $command has no option $word" ;;
        firmware.*=* | unit.*=*) grep -qF -- "${word%%=*}=" <<< "$places" || complain "$page: no place to inject $word" ;;
      esac
    done
  done < <(sed -n '/^```/,/^```/p' "$page" | grep -oP '^(sim|waves|tests|build)/[^ #]+( [^#]*)?' | sed 's/  *$//')
done
[ "$(wc -l < README.md)" -le 90 ] || complain "README.md is longer than 90 lines"
exit $status
