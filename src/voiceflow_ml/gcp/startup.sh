set -Eeuo pipefail
# Everything lies in one folder; nothing outside it is written.
work=${VOICEFLOW_WORK:-/var/lib/voiceflow}
stage=start
pytest_status=null

say() { echo "voiceflow: $RUN_ID: $*"; }

there=$STORE/runs/$RUN_ID

# Whatever happens, say what, write it down last of all, and stop costing money.
finish() {
  status=$?
  trap - EXIT
  say "finished: stage $stage, status $status, pytest $pytest_status"
  printf '{"run": "%s", "stage": "%s", "status": %d, "pytest": %s}\n' \
    "$RUN_ID" "$stage" "$status" "$pytest_status" > "$work/outcome.json"
  gcloud storage cp --quiet "$work/outcome.json" "$there/outcome.json" || say "the outcome could not be written to $STORE"
  if [[ $SERVE == yes && $status -eq 0 ]]; then
    say "serving until it is taken down"
  else
    shutdown -h now
  fi
}
trap finish EXIT

enter() {
  stage=$1
  say "stage $stage"
}

rm -rf "$work"
mkdir -p "$work/files"
cd "$work/files"

enter fetch
while read -r _ name; do
  mkdir -p "$(dirname "$name")"
  gcloud storage cp --quiet "$there/artefacts/$name" "$name"
done <<< "$SHA256SUMS"

enter hash
sha256sum --check --strict --quiet <<< "$SHA256SUMS"

enter driver
for ((attempt = 1; ; attempt++)); do
  if nvidia-smi --query-gpu=name,driver_version --format=csv,noheader; then
    break
  fi
  if ((attempt == 60)); then
    say "no GPU driver after five minutes"
    exit 3
  fi
  sleep 5
done

enter install
python3 -m venv "$work/venv"
index=()
if [[ $OFFLINE == yes ]]; then
  index=(--no-index)
fi
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "${index[@]}" --find-links . "./$WHEEL[$EXTRAS]"

enter measure
# A verdict is no failure of the machine: any status of pytest is a result, and is written down.
pytest_status=0
CI=true "$work/venv/bin/pytest" -m hardware --gpu="$GPU" --require-targets="$TARGET" \
  --sla-policy="$POLICY" --sla-report="$work/reports" sla.toml || pytest_status=$?

enter upload
# Not cp: where it puts a folder depends on what is there.
gcloud storage rsync --recursive --quiet "$work/reports" "$there/reports"

if [[ $SERVE == yes ]]; then
  enter serve
  # On loopback alone: who may come in is decided by the tunnel.
  systemd-run --unit=voiceflow-serve --working-directory="$work/files" \
    "$work/venv/bin/voiceflow" serve --set target="$TARGET" --model "$MODEL" --host 127.0.0.1 --port 8000
fi
enter done
