#!/usr/bin/env bash
# Makes a Python with the SageMaker SDK, for pipeline modules, and prints its path.
#
#   doors/sdk.sh SOURCE FOLDER REQUIREMENTS
#
# SOURCE is the repository's folder, FOLDER is where the environment goes, REQUIREMENTS is a file of
# requirements below SOURCE. Where it is empty nothing is made, and SAGEMAKER_GITOPS_PYTHON counts.
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
# Not with the tokens of the job: what is installed is the commit's to say.
env -u GITHUB_TOKEN -u GH_TOKEN -u GITLAB_TOKEN -u BITBUCKET_TOKEN \
  "$folder/sdk/bin/python" -m pip install --quiet --disable-pip-version-check -r "$file" >&2 ||
  fail "the packages of $requirements could not be installed"
printf '%s\n' "$folder/sdk/bin/python"
