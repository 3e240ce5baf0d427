#!/usr/bin/env bash
# One run of deployopt in a workflow: install it, run it, leave outputs, pass the verdict on.
# Everything comes from the environment; a value is only ever a whole argument or a whole line.
set -euo pipefail

wrong() {
  echo "::error title=deployopt::$1"
  outputs none 2
  exit 2
}

outputs() {
  printf 'verdict=%s\nexit-code=%s\n' "$1" "$2" >> "$GITHUB_OUTPUT"
}

one_of() { # one_of NAME VALUE CHOICE...
  local name=$1 value=$2 choice
  shift 2
  for choice in "$@"; do
    [[ $value == "$choice" ]] && return
  done
  wrong "The input $name is one of: $*."
}

lines_of() { # the lines of a text that are not blank, into the array `lines`
  local line
  lines=()
  while IFS= read -r line || [[ -n $line ]]; do
    line=${line%$'\r'}
    [[ -z ${line//[[:space:]]/} ]] || lines+=("$line")
  done <<< "$1"
}

install() {
  local what=deployopt extras=${INPUT_EXTRAS:-}
  if [[ -z $extras && $INPUT_COMMAND == build ]]; then
    extras=build
  fi
  [[ $extras =~ ^[a-z0-9,-]*$ ]] || wrong "The input extras is a list such as build,openvino."
  case ${INPUT_VERSION:-} in
    installed) return ;;
    ./* | /* | .) what=$INPUT_VERSION${extras:+[$extras]} ;;
    "") what=deployopt${extras:+[$extras]} ;;
    *)
      [[ $INPUT_VERSION =~ ^[0-9][A-Za-z0-9.+!]*$ ]] || wrong "The input version is no version."
      what="deployopt${extras:+[$extras]}==$INPUT_VERSION"
      ;;
  esac
  echo "::group::Install $what"
  python3 -m pip install --disable-pip-version-check -- "$what"
  echo "::endgroup::"
}

arguments() { # the whole command line, into the array `words`
  words=("$INPUT_COMMAND" --quiet --ci=github
    "--junit=$reports/junit.xml" "--markdown=$reports/summary.md")
  [[ -z ${INPUT_TARGET:-} ]] || words+=("--target=$INPUT_TARGET")
  [[ -z ${INPUT_MODEL:-} ]] || words+=("--model=$INPUT_MODEL")
  [[ -z ${INPUT_DATA:-} ]] || words+=("--data=$INPUT_DATA")
  lines_of "${INPUT_BUDGETS:-}"
  words+=("${lines[@]/#/--budget=}")
  [[ ${INPUT_ACCEPT_PREDICTED:-false} == false ]] || words+=(--accept-predicted)
  [[ ${INPUT_PROXY:-false} == false ]] || words+=(--proxy)
  if [[ $INPUT_COMMAND == build ]]; then
    [[ -z ${INPUT_BUNDLE:-} ]] || words+=("--output=$INPUT_BUNDLE")
    [[ -z ${INPUT_BASELINE:-} ]] || words+=("--baseline=$INPUT_BASELINE")
  fi
  lines_of "${INPUT_ARGUMENTS:-}"
  words+=("${lines[@]}")
  case $INPUT_COMMAND in
    verify) words+=(-- "$INPUT_BUNDLE") ;;
    compare) words+=(-- "$INPUT_BASELINE" "$INPUT_BUNDLE") ;;
  esac
}

one_of command "${INPUT_COMMAND:=build}" build verify compare
one_of undecided "${INPUT_UNDECIDED:=fail}" fail pass
one_of accept-predicted "${INPUT_ACCEPT_PREDICTED:=false}" true false
one_of proxy "${INPUT_PROXY:=false}" true false
[[ $INPUT_COMMAND == build || -n ${INPUT_BUNDLE:-} ]] || wrong "$INPUT_COMMAND needs a bundle."
[[ $INPUT_COMMAND != compare || -n ${INPUT_BASELINE:-} ]] || wrong "compare needs a baseline."

reports=${INPUT_REPORTS:-deployopt-reports}
export DEPLOYOPT_HOME=${DEPLOYOPT_HOME:-$GITHUB_WORKSPACE/.deployopt}
mark="deployopt_$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
# What deployopt itself writes comes later, and the later one counts.
printf 'reports<<%s\n%s\n%s\nbundle=\n' "$mark" "$reports" "$mark" >> "$GITHUB_OUTPUT"
outputs none 5

install
arguments
code=0
deployopt "${words[@]}" || code=$?
case $code in
  0 | 1 | 3) printf 'exit-code=%s\n' "$code" >> "$GITHUB_OUTPUT" ;;
  *)
    echo "::error title=deployopt::Nothing was judged (exit $code): see the log."
    outputs none "$code"
    ;;
esac
if [[ $code == 3 && $INPUT_UNDECIDED == pass ]]; then
  exit 0
fi
exit "$code"
