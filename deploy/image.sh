#!/usr/bin/env bash
# Makes the image weir:latest (or the name given second) of a static binary without any
# registry: a tar of the files, imported with the settings that stand in the last stage of
# the Dockerfile. With "-" as the name it writes the tar to stdout instead.
set -euo pipefail
binary=$1
name=${2:-weir:latest}
here=$(cd "$(dirname "$0")" && pwd)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
install -D -m 0755 "$binary" "$root/weir"
install -D -m 0644 "$here/image.yaml" "$root/etc/weir/weir.yaml"
install -d -m 0700 "$root/var/lib/weir"
install -d -m 1777 "$root/tmp"
authorities=/etc/ssl/certs/ca-certificates.crt
if [ -r $authorities ]; then
	install -D -m 0644 $authorities "$root$authorities"
else
	echo "image.sh: no $authorities on this machine: the image will trust no certificate" >&2
fi

# Everything is root's but the state folder, and of no particular time, so that the same
# binary makes the same image.
pack() {
	(cd "$root" && find . -mindepth 1 -path ./var/lib/weir -prune -o -mindepth 1 -print0 | LC_ALL=C sort -z |
		tar -c --null --no-recursion --files-from=- --numeric-owner --owner=0 --group=0 --mtime=@0 -f "$root.tar")
	(cd "$root" && tar -r --no-recursion --numeric-owner --owner=65532 --group=65532 --mtime=@0 -f "$root.tar" ./var/lib/weir)
	cat "$root.tar"
	rm -f "$root.tar"
}

if [ "$name" = - ]; then
	pack
	exit
fi
changes=()
while IFS= read -r line; do
	changes+=(--change "$line")
done < <(sed -n '/^FROM scratch/,$p' "$here/Dockerfile" | grep -E '^(ENV|USER|VOLUME|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD) ')
pack | docker import "${changes[@]}" - "$name"
