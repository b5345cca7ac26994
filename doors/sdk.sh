#!/usr/bin/env bash
# Makes a Python with the SageMaker SDK, for pipeline modules, and prints its path.
#
#   doors/sdk.sh SOURCE FOLDER REQUIREMENTS
#
# SOURCE is the repository's folder, FOLDER is where the environment goes, and where environment.sh
# left its uv if it brought one. REQUIREMENTS is a file of requirements below SOURCE. Where it is
# empty nothing is made, and SAGEMAKER_GITOPS_PYTHON counts.
set -euo pipefail

source_folder=$1 folder=$2 requirements=${3:-}

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 2
}

if [ -z "$requirements" ]; then
  printf '%s\n' "${SAGEMAKER_GITOPS_PYTHON:-}"
  exit 0
fi
file=$source_folder/$requirements
[ -f "$file" ] || fail "SAGEMAKER_GITOPS_SDK names $requirements, which is no file of the source"
python3 -m venv "$folder/sdk" >&2 ||
  fail "python3 -m venv does not work here. Take an image with python3-venv"
python=$folder/sdk/bin/python

uv=uv
"$uv" --version >/dev/null 2>&1 || uv=$folder/uv/bin/uv
# uv needs a minute for an SDK that takes pip ten, and does not read where pip was told to look.
case "$("$python" -m pip --disable-pip-version-check config list)" in
  *index* | *find-links* | *cert* | *host* | *proxy*) own=yes ;;
  *) own= ;;
esac
if [ -z "$own" ] && "$uv" --version >/dev/null 2>&1; then
  install=("$uv" pip install --quiet --python "$python")
else
  install=("$python" -m pip install --quiet --disable-pip-version-check)
fi
# Not with the tokens of the job: what is installed is the commit's to say.
env -u GITHUB_TOKEN -u GH_TOKEN -u GITLAB_TOKEN -u BITBUCKET_TOKEN \
  "${install[@]}" -r "$file" >&2 ||
  fail "the packages of $requirements could not be installed"
printf '%s\n' "$python"
