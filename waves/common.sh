# shellcheck shell=bash
# Shared by waves/open and waves/shot: from a scenario and a view to files. Sourced from the repository root.

# need COMMAND PACKAGE: a clear message when a tool is missing.
need() {
  command -v "$1" >/dev/null || { echo "$1 is missing: apt-get install $2" >&2; exit 2; }
}

# wave_of SCENARIO: path of its wave file; runs the scenario if there is none.
wave_of() {
  local program=build/release/sim/vtdsim path name
  if [ -f "$1" ] && [[ $1 == *.fst ]]; then echo "$1"; return; fi
  [ -x "$program" ] || sim/run --list >&2
  name=$("$program" run "$1" --name-only) || exit 2
  path=out/$name/$name.fst
  [ -f "$path" ] || sim/run "$1" >&2 || true
  [ -f "$path" ] || { echo "the run of $1 left no wave file" >&2; exit 1; }
  echo "$path"
}

# view_file VIEW: path of a saved view, after checking that it exists.
view_file() {
  local file=waves/$1.gtkw known
  [ -f "$file" ] && { echo "$file"; return; }
  known=$(for f in waves/*.gtkw; do basename "$f" .gtkw; done | tr '\n' ' ')
  echo "there is no view '$1', expected one of: $known" >&2
  exit 2
}
