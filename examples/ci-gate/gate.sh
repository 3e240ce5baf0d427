#!/usr/bin/env bash
# Build by deployopt.toml, keep the reports, and pass the verdict on as the exit code.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p out

code=0
deployopt build --accept-predicted --quiet \
  --json --markdown out/summary.md --junit out/deployopt.xml > out/result.json || code=$?

case "$code" in
  0) echo "::notice title=deployopt::Every budget is met." ;;
  1) echo "::error title=deployopt::A budget is missed: see the summary." ;;
  3) echo "::error title=deployopt::Undecided: the summary says what would settle it." ;;
  *) echo "::error title=deployopt::Nothing was judged (exit $code): see the log." ;;
esac
exit "$code"
