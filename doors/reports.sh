#!/usr/bin/env bash
# Puts the reports of a build where the buildspec's report group looks for them.
#
#   doors/reports.sh FOLDER SUCCEEDING
#
# FOLDER is the build's source folder, SUCCEEDING is 1 unless the build has failed. A report group
# that finds no file is an error, so that a build without a report leaves one that says so.
set -euo pipefail

source_folder=$1 succeeding=${2:-1}
folder=$source_folder/.sagemaker-gitops/junit
mkdir -p "$folder"

found=
while IFS= read -r -d '' file; do
  cp "$file" "$folder/"
  found=yes
done < <(find "$source_folder" -type f -path '*/.sagemaker-gitops/reports/*.junit.xml' -print0)
[ -z "$found" ] || exit 0

if [ "$succeeding" = 1 ]; then
  failures=0 skipped=1 result='<skipped message="the command made no report"/>'
else
  failures=1 skipped=0 result='<failure message="the build failed before there was a report: its log says why"/>'
fi
printf '%s\n' '<?xml version="1.0" encoding="UTF-8"?>' \
  "<testsuites><testsuite name=\"sagemaker-gitops\" tests=\"1\" failures=\"$failures\" errors=\"0\" skipped=\"$skipped\">" \
  "<testcase classname=\"sagemaker-gitops\" name=\"report\" time=\"0\">$result</testcase>" \
  '</testsuite></testsuites>' >"$folder/none.junit.xml"
