#!/usr/bin/env bash
# Builds the documentation as a site, build/site/html/index.html. A warning or a broken link is an error, and so is a page
# that would fetch something from another host.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -n "${HYBRID_ENV:-}" ] || bash scripts/setup.sh
bash scripts/setup.sh docs
environment=$(realpath "${HYBRID_ENV:-.venv}")
site=build/site
"$environment/bin/python" scripts/site_pages.py "$site"
NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --clean --strict --quiet -f "$site/mkdocs.yml"
if grep -rnEo --include='*.html' --include='*.css' \
  '(<(script|img|iframe)[^>]* src="|<link[^>]*(stylesheet|preconnect|preload)[^>]* href="|url\(|@import ")(https?:)?//[^")]*' "$site/html"; then
  echo "scripts/docs.sh: the pages above fetch from other hosts; see docs/mkdocs.yml" >&2
  exit 1
fi
echo "$site/html/index.html"
