#!/bin/sh
# Installs lorawand from the folder that this script lies in, for systems
# without a package manager, or takes it away:
#
#   ./install.sh                the program, the service; the configuration if there is none
#   ./install.sh --remove       all but configuration, devices, keys and counters
#
# DESTDIR=/some/root installs into another root, and starts nothing there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=${DESTDIR-}

# live COMMAND… is only for the running system.
live() {
  [ -n "$root" ] || "$@"
}

has_systemd() {
  if [ -n "$root" ]; then
    [ -d "$root/lib/systemd/system" ] || [ -d "$root/usr/lib/systemd/system" ]
  else
    [ -d /run/systemd/system ]
  fi
}

if [ "$(id -u)" != 0 ] && [ -z "$root" ]; then
  echo "install.sh: needs root" >&2
  exit 1
fi

case "${1-}" in
--remove)
  if has_systemd; then
    live systemctl disable --now lorawand.service || true
  elif [ -x "$root/etc/init.d/lorawand" ]; then
    live /etc/init.d/lorawand stop || true
    if [ -z "$root" ] && command -v update-rc.d >/dev/null; then
      update-rc.d -f lorawand remove >/dev/null || true
    fi
  fi
  rm -f "$root/usr/bin/lorawand" "$root/etc/systemd/system/lorawand.service" "$root/etc/init.d/lorawand" \
    "$root/etc/udev/rules.d/52-lorawand.rules"
  echo "Removed. /etc/lorawand and /var/lib/lorawand are left."
  exit 0
  ;;
"") ;;
*)
  echo "usage: $0 [--remove]" >&2
  exit 2
  ;;
esac

mkdir -p "$root/usr/bin" "$root/etc/lorawand" "$root/var/lib/lorawand"
chmod 0700 "$root/var/lib/lorawand"
cp "$here/lorawand" "$root/usr/bin/lorawand.new"
chmod 0755 "$root/usr/bin/lorawand.new"
mv "$root/usr/bin/lorawand.new" "$root/usr/bin/lorawand"
if [ ! -e "$root/etc/lorawand/lorawand.toml" ]; then
  cp "$here/lorawand.toml" "$root/etc/lorawand/lorawand.toml"
  chmod 0644 "$root/etc/lorawand/lorawand.toml"
fi

if has_systemd; then
  mkdir -p "$root/etc/udev/rules.d"
  cp "$here/52-lorawand.rules" "$root/etc/udev/rules.d/52-lorawand.rules"
  chmod 0644 "$root/etc/udev/rules.d/52-lorawand.rules"
  live "$here/postinst" user
  mkdir -p "$root/etc/systemd/system"
  cp "$here/lorawand.service" "$root/etc/systemd/system/lorawand.service"
  chmod 0644 "$root/etc/systemd/system/lorawand.service"
  live systemctl daemon-reload
  live systemctl enable lorawand.service
  live systemctl restart lorawand.service
else
  mkdir -p "$root/etc/init.d"
  cp "$here/sysv" "$root/etc/init.d/lorawand"
  chmod 0755 "$root/etc/init.d/lorawand"
  if [ -z "$root" ] && command -v update-rc.d >/dev/null; then
    update-rc.d lorawand defaults >/dev/null
  else
    for level in 2 3 4 5; do
      [ -d "$root/etc/rc$level.d" ] && ln -sf ../init.d/lorawand "$root/etc/rc$level.d/S95lorawand"
    done
  fi
  live /etc/init.d/lorawand restart
fi
echo "lorawand: nobody can log in before you make a key for an application:"
echo "    lorawand api-key create --application app1"
