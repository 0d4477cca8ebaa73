#!/usr/bin/env bash
# Builds Kubernetes (API server, controllers, scheduler, kubelet) from the source package of this Debian or Ubuntu, into DIR. Takes minutes.
# Needs Go, and its package reflect2: the copy in the source package is too old for the compiler.
#
#   kubernetes.sh DIR
set -euo pipefail

bin=$(realpath -m "$1")
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet)
complete=true
for program in "${programs[@]}"; do [ -x "$bin/$program" ] || complete=false; done
! $complete || exit 0
mkdir -p "$bin"
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
. "$(dirname "$0")/../../packaging/source.sh"
source_package kubernetes "$work"

reflect2=github.com/modern-go/reflect2
rm -rf "${work:?}/source/vendor/$reflect2"
cp -rL "/usr/share/gocode/src/$reflect2" "$work/source/vendor/$reflect2"
rm -f "$work/source/vendor/$reflect2"/*_test.go
mkdir -p "$work/go/src/k8s.io"
ln -s "$work/source" "$work/go/src/k8s.io/kubernetes"
cd "$work/go/src/k8s.io/kubernetes"
export GO111MODULE=off CGO_ENABLED=0 GOFLAGS='' GOPATH=$work/go GOCACHE=$work/cache

# The one file that is generated before a build.
go build -o "$work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
packages=$(grep -rl '+k8s:openapi-gen=' --include=*.go pkg cmd staging/src/k8s.io |
    grep -v -E 'code-generator|sample-|zz_generated|_test.go|testdata' |
    sed 's#^staging/src/#vendor/#' | xargs -n1 dirname | LC_ALL=C sort -u | sed 's#^#k8s.io/kubernetes/#' | paste -sd,)
"$work/openapi-gen" --logtostderr -i "$packages" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
    -h hack/boilerplate/boilerplate.generatego.txt -r "$work/violations"

version=v$(dpkg-parsechangelog --show-field Version | sed 's/.*really//; s/[+-].*//')
minor=$(printf '%s' "$version" | cut -d . -f 2)
vendored=k8s.io/kubernetes/vendor/k8s.io
flags="-s -w -X $vendored/component-base/version.gitVersion=$version -X $vendored/component-base/version.gitMajor=1"
flags+=" -X $vendored/component-base/version.gitMinor=$minor -X $vendored/client-go/pkg/version.gitVersion=$version"
for program in "${programs[@]}"; do
    go build -o "$bin/$program" -ldflags "$flags" "k8s.io/kubernetes/cmd/$program"
done
