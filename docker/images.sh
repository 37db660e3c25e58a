#!/bin/bash
# Build and try the images where there is no Docker engine: buildah with chroot isolation, as root, on Debian.
#   docker/images.sh build [TARGET...]   base, slim, hf and expert unless named
#   docker/images.sh test                the persistence check and the others, inside the images
#   docker/images.sh clean               remove everything that was built
set -euo pipefail
cd "$(dirname "$0")/.."

STORE=${IMAGES_STORE:-/var/tmp/neural-memory-images}
SUITE=bookworm
STAND_IN=localhost/python:3.11-$SUITE
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

buildah() { command buildah --root "$STORE/storage" --runroot "$STORE/run" "$@"; }

need() {
    for program in buildah debootstrap; do
        command -v "$program" >/dev/null || { echo "Install $program: apt-get install buildah debootstrap"; exit 1; }
    done
}

# Debian with its own Python 3.11 stands in for the Python image, which nothing here could fetch.
stand_in() {
    buildah images --quiet "$STAND_IN" >/dev/null 2>&1 && return
    local mirror rootfs="$STORE/rootfs" container
    mirror=$(grep -rhv '^ *#' /etc/apt/sources.list* | grep -oE 'https?://[^ ]+/debian' | head -1)
    mkdir -p "$STORE"
    if [ ! -e "$rootfs/usr/bin/python3" ]; then
        debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates,tini "$SUITE" "$rootfs" "$mirror"
    fi
    rm -rf "$rootfs"/var/cache/apt/archives/*.deb "$rootfs"/var/lib/apt/lists/*
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$rootfs" /
    buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    buildah commit --quiet --rm "$container" "$STAND_IN"
    rm -rf "$rootfs"
}

build_one() {
    local target=$1; shift
    local pip=(--env "PIP_CERT=$CERTIFICATES" --volume /etc/ssl/certs:/etc/ssl/certs:ro --volume "$STORE/pip:/root/.cache/pip:rw")
    mkdir -p "$STORE/pip"
    [ -d "${PIP_FIND_LINKS:-}" ] && pip+=(--env "PIP_FIND_LINKS=$PIP_FIND_LINKS" --volume "$PIP_FIND_LINKS:$PIP_FIND_LINKS:ro")
    buildah bud --quiet --format docker --isolation chroot --layers \
        --build-arg "BASE_IMAGE=$STAND_IN" --build-arg "VERSION=$(version)" --build-arg "REVISION=$(git rev-parse HEAD)" \
        "${pip[@]}" --target "$target" --tag "localhost/neural-memory:$target" --file docker/Dockerfile "$@" .
    buildah images --format '{{.Name}}:{{.Tag}} {{.Size}}' "localhost/neural-memory:$target"
}

version() { sed -n 's/^__version__.*"\(.*\)"/\1/p' memory_core/__init__.py; }

build() {
    need
    stand_in
    for target in "$@"; do
        if [ "$target" = expert ]; then build_expert; else build_one "$target"; fi
    done
}

# A small expert, taught inside the base image and exported there; `neural-memory expert` makes real ones.
build_expert() {
    local file=build/expert/python.nmem
    mkdir -p build/expert
    cp docker/expert_sentences.txt build/expert/sentences.txt
    chown -R 1000:1000 build/expert
    # Not at a volume of the image: buildah with chroot isolation may put a folder of its own over it.
    in_image base "$PWD/build/expert" /data sh -c '
        set -e
        export MEMORY_STORAGE_PATH=$(mktemp -d)
        neural-memory create python --local >/dev/null
        neural-memory observe python --local --file /data/sentences.txt >/dev/null
        neural-memory export python --local -o /data/python.nmem'
    build_one expert --build-arg "NMEM=$file" --build-arg DOMAIN=python
}

# Run a command in a throw-away container of an image: in_image TARGET FOLDER PLACE COMMAND...
in_image() {
    local container target=$1 folder=$2 place=$3; shift 3
    container=$(buildah from "localhost/neural-memory:$target")
    buildah run --isolation chroot --volume "$folder:$place:rw" "$container" -- "$@"
    buildah rm "$container" >/dev/null
}

case "${1:-}" in
    build) shift; [ $# -gt 0 ] || set -- base slim hf expert; build "$@" ;;
    test) shift; need; IMAGES_STORE=$STORE exec "${PYTHON:-.venv/bin/python}" docker/try_images.py "$@" ;;
    clean) rm -rf "$STORE" ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
