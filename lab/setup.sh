#!/usr/bin/env bash
# Puts the real programs of the lab on PATH: haproxy, prometheus, promtool, alertmanager, amtool.
# Installs them with apt where root or passwordless sudo allows it, and never starts a packaged daemon;
# elsewhere says what is missing and how to get it, and exits 1. Does nothing when all are there.
# Optional, for a lab that runs as root: nft and ss, by which network faults are felt by whoever talks to a pod.
# Optional, with --tests: the judges of the tests (kubectl, Chromium, redis); a test without its judge is skipped.
set -euo pipefail

# Debian keeps servers where an ordinary user's PATH does not look; the lab looks there, too.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

has() { command -v "$1" >/dev/null 2>&1; }

missing() {
  has haproxy || echo "haproxy"
  has prometheus || echo "prometheus"
  has promtool || echo "promtool"
  has prometheus-alertmanager || has alertmanager || echo "alertmanager"
  has amtool || echo "amtool"
}

# Only what is missing: a Prometheus that this machine runs for its own purposes is not touched.
packages() {
  has haproxy || echo "haproxy"
  has prometheus && has promtool || echo "prometheus"
  { has prometheus-alertmanager || has alertmanager; } && has amtool || echo "prometheus-alertmanager"
}

for_tests=${1-}

optional() {
  if [ "$EUID" = 0 ]; then # nobody else may redirect packets
    has nft || echo "nftables"
    has ss || echo "iproute2"
  fi
  if [ "$for_tests" = --tests ]; then
    has kubectl || echo "kubernetes-client"
    has chromium || has chromium-browser || has google-chrome || echo "chromium"
    has redis-server || echo "redis-server"
  fi
}

# Nothing that is needed is missing: what is optional may stay away.
do_without() {
  [ -z "$(missing)" ] || return 0
  echo "muster: going on without $(optional | paste -sd' '): what needs it says so and is left out" >&2
  exit 0
}

explain() {
  cat >&2 <<EOF
muster: the lab needs these programs on PATH: $(missing | paste -sd' ')
  Debian, Ubuntu   sudo apt-get install --no-install-recommends $(packages | paste -sd' ')
                   (then stop what the packages start: sudo systemctl disable --now $(packages | paste -sd' '))
  elsewhere        haproxy 2.4 or newer: https://www.haproxy.org
                   prometheus with promtool, alertmanager with amtool: https://prometheus.io/download
$1
EOF
  exit 1
}

# apt starts a package's daemon as soon as it is installed, unless policy-rc.d says 101. The machine's own
# policy, if it has one, is put back afterwards.
policy=/usr/sbin/policy-rc.d
forbid_daemons='
  set -eu
  policy=$1; shift
  kept=""
  restore() {
    rm -f "$policy"
    if [ -n "$kept" ]; then mv "$kept" "$policy"; fi
  }
  if [ -e "$policy" ]; then kept=$(mktemp "$policy.XXXXXX"); mv "$policy" "$kept"; fi
  trap restore EXIT
  trap "exit 130" INT TERM
  printf "#!/bin/sh\nexit 101\n" >"$policy"
  chmod 755 "$policy"
  export DEBIAN_FRONTEND=noninteractive
  install() { apt-get install -qq -y --no-install-recommends "$@"; }
  install "$@" || { apt-get update -qq && install "$@"; } || exit 1
  # Enabled units would start at the next boot.
  if command -v systemctl >/dev/null 2>&1; then systemctl disable --quiet "$@" 2>/dev/null || true; fi
'

[ -n "$(missing)$(optional)" ] || exit 0

has apt-get || do_without
has apt-get || explain "  (there is no apt-get here to install them with)"
if [ "$(id -u)" = 0 ]; then
  as_root=()
elif has sudo && sudo -n true 2>/dev/null; then
  as_root=(sudo -n)
else
  do_without
  explain "  (neither root nor passwordless sudo: muster does not install them itself)"
fi

mapfile -t wanted < <(packages; optional)
echo "muster: installing ${wanted[*]} with apt; their daemons are not started" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! "${as_root[@]}" sh -c "$forbid_daemons" setup "$policy" "${wanted[@]}" >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  do_without
  explain "  (apt-get failed, see above)"
fi
[ -z "$(missing)" ] || explain "  (apt-get succeeded, but they are still not there)"
