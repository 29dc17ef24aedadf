# shellcheck shell=bash
# Sourced by the scripts that test pages: `optlab_browser` makes sure that there is a Chromium.
# Where it may not install one, those tests are skipped, and pytest says so.

optlab_browser() {
    local name log
    for name in chromium chromium-browser google-chrome; do
        if command -v "$name" &>/dev/null; then return; fi
    done
    if ((EUID != 0)) || ! command -v apt-get &>/dev/null; then
        say "no Chromium here: tests that open pages are skipped (Debian: apt-get install chromium)"
        return
    fi
    say "installing Chromium for the tests that open pages (once; half a minute)"
    log="$(mktemp)"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends chromium; } &>"$log" ||
        say "Chromium could not be installed, tests that open pages are skipped: $(tail -n 1 "$log")"
    rm -f "$log"
}
