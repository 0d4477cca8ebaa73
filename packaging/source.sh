# Read with `.`: source_package NAME DIR unpacks the source package NAME of this Debian or Ubuntu into DIR/source. It needs dpkg-source
# (dpkg-dev), and changes nothing of the machine's own sources and lists.

source_package() {
    local name=$1 work=$2 file
    mkdir -p "$work/sources.d" "$work/lists/partial"
    # The machine's own sources, of which the packages' sources are asked for too.
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        case "$file" in
            *.sources) sed 's/^Types:.*/Types: deb-src/' "$file" >"$work/sources.d/${file##*/}" ;;
            *.list) [ ! -e "$file" ] || sed -n 's/^deb /deb-src /p' "$file" >"$work/sources.d/${file##*/}" ;;
        esac
    done
    local options=(-qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources.d" -o Dir::State::lists="$work/lists"
        -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update || true
    (
        cd "$work"
        apt-get "${options[@]}" source --download-only "$name" >/dev/null
        dpkg-source --no-check -x "$name"_*.dsc source >/dev/null
    )
}
