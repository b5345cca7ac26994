#!/usr/bin/env bash
# Makes the private environment that the action and the buildspec run in, and prints its Python.
#
#   doors/environment.sh SOURCE FOLDER CACHE
#
# SOURCE is this project's root, FOLDER is where the environment goes, CACHE keeps downloads for
# the next run. Nothing outside of FOLDER and CACHE is written: the job's own Python stays as it is.
set -euo pipefail

source_root=$(cd "$1" && pwd) folder=$2 cache=$3

fail() {
  printf '::error title=sagemaker-gitops::%s\n' "$*" >&2
  printf 'error: %s\n' "$*" >&2
  exit 2
}

command -v git >/dev/null || fail "git is missing. Install it before this step: apt-get install -y git"

mkdir -p "$folder" || fail "the environment's folder cannot be made: $folder"
folder=$(cd "$folder" && pwd)
# A cache that cannot be written saves nothing, and is no reason to fail.
if ! { mkdir -p "$cache" && [ -w "$cache" ]; } 2>/dev/null; then
  printf 'the cache cannot be written, and is not used: %s\n' "$cache" >&2
  cache=$folder/cache
  mkdir -p "$cache"
fi
cache=$(cd "$cache" && pwd)
# What the repository holds is no setting of this: uv reads pyproject.toml and uv.toml, a version
# manager .python-version, from the current folder upwards.
cd /

# The first Python that is new enough; its own folder need not come first on PATH.
ask='import sys; print("%d.%d.%d" % sys.version_info[:3]); sys.exit(sys.version_info < (3, 11))'
python='' older=''
for candidate in "${SAGEMAKER_GITOPS_RUNTIME:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
  [ -n "$candidate" ] || continue
  if version=$("$candidate" -I -c "$ask" 2>/dev/null); then
    python=$candidate
    break
  fi
  [ -n "$older" ] || older=${version:+: $candidate is $version}
done
[ -n "$python" ] || fail "Python 3.11 or newer is missing$older. Install it before this step: actions/setup-python, or apt-get install -y python3 python3-venv"

# The job's own settings for uv and pip are about the job's own packages, but for those that say
# where packages come from and how they are fetched: what comes is held to the hashes.
for name in ${!UV_@} ${!PIP_@}; do
  case $name in
    *INDEX* | *FIND_LINKS | *CERT* | *TLS | *HOST | *PROXY | *KEYRING* | *TIMEOUT | *RETRIES | *CONFIG_FILE) ;;
    *) unset "$name" ;;
  esac
done
unset VIRTUAL_ENV
# uv does not read where pip was told to look.
if [ -z "${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-}}" ]; then
  index=${PIP_INDEX_URL:-}
  while [ -z "$index" ] && IFS= read -r line; do
    case $line in global.index-url=* | install.index-url=*) index=${line#*\'} index=${index%\'} ;; esac
  done < <("$python" -I -m pip config list 2>/dev/null || :)
  [ -z "$index" ] || export UV_INDEX_URL=$index
fi

mirror="An index of your own is named by UV_INDEX_URL, or by pip's settings"

# What is there may be a version manager's and not run, or too old for what it is asked below.
if uv venv --no-project --allow-existing --help >/dev/null 2>&1; then
  uv=uv
else
  uv=$folder/uv/bin/uv
  "$python" -I -m venv "$folder/uv" >&2 ||
    fail "python3 -m venv does not work here. Install it before this step: apt-get install -y python3-venv"
  "$folder/uv/bin/python" -I -m pip install --quiet --disable-pip-version-check \
    --require-hashes -r "$source_root/requirements/uv.txt" >&2 ||
    fail "uv could not be installed from the package index. $mirror"
fi

# One cache for each lock: what another lock brought never mixes in, and stale ones can be deleted.
lock=$source_root/requirements/run.txt
key=$("$python" -I -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest()[:16])' "$lock")
export UV_CACHE_DIR=$cache/$key

# Its path, and not its name: uv may have been told to look names up among Pythons of its own.
interpreter=$("$python" -I -c 'import sys; print(sys.executable)')
"$uv" venv --quiet --no-project --allow-existing --python "$interpreter" "$folder/environment" >&2 ||
  fail "the environment could not be made in $folder"
environment_python=$folder/environment/bin/python
"$uv" pip install --quiet --require-hashes --python "$environment_python" -r "$lock" >&2 ||
  fail "the packages of requirements/run.txt could not be installed from the package index. $mirror"

# Only `ci` becomes importable: the environment sees a folder that holds it and nothing else.
mkdir -p "$folder/package"
ln -sfn "$source_root/ci" "$folder/package/ci"
packages=$("$environment_python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# From lib/pythonX.Y/site-packages: a file of this kind holds no path of another alphabet.
printf '%s\n' ../../../../package >"$packages/sagemaker-gitops.pth"

printf '%s\n' "$environment_python"
