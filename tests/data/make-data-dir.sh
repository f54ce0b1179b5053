#!/usr/bin/env bash
# Makes data-dir-7922236.tar.gz with the program of commit 7922236: `make-data-dir.sh PROGRAM OUTPUT`.
# The keys, passwords and tokens in it were made for it and protect nothing.
set -euo pipefail
program=$1 output=$2 dir=$(mktemp -d) port=${PORT:-18765}
api=http://127.0.0.1:$port/api
public=9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72 secret=mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n
printf '#!/bin/sh\nexec %s simulate "$@"\n' "$program" > "$dir/client"
chmod +x "$dir/client"

start() {
  "$program" serve --data-dir "$dir/data" --listen 127.0.0.1:$port --release-api http://127.0.0.1:9 --sample-interval 1s "$@" \
    > "$dir/out" 2> "$dir/log" &
  manager=$!
  until grep -q ready "$dir/out"; do sleep 0.1; done
}
stop() { kill $manager; wait $manager || true; }
post() { curl -sSf "${auth[@]}" "$api/$1" --json "$2"; }
field() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/"; }
config() { # listening port, monitoring port, batch size
  echo "{\"listening_address\":\"127.0.0.1:$1\",\"max_supported_version\":2,\"min_supported_version\":2,\"authority_public_key\":\"$public\",
    \"authority_secret_key\":\"$secret\",\"cert_validity_sec\":3600,\"shares_per_minute\":6.0,\"share_batch_size\":$3,\"mode\":\"SOLOMINING\",
    \"jdc_signature\":\"fixture\",\"coinbase_reward_script\":\"addr(tb1qpusf5256yxv50qt0pm0tue8k952fsu5lzsphft)\",\"upstreams\":[],
    \"template_provider_type\":{\"Sv2Tp\":{\"address\":\"127.0.0.1:1\"}},\"monitoring_address\":\"127.0.0.1:$2\",\"monitoring_cache_refresh_secs\":1}"
}
auth=()

start --client "$dir/client"
barn=$(post saved-configs "{\"name\":\"barn\",\"description\":\"the first\",\"config\":$(config 34901 34902 3)}" | field config_id)
curl -sSf -X PUT "$api/saved-configs/$barn" --json "{\"config\":$(config 34901 34902 7)}" > "$dir/said"
garage=$(post saved-configs "{\"name\":\"garage\",\"config\":$(config 34911 34912 3)}" | field config_id)
sed -E "s/authority_secret_key = .*/authority_secret_key = \"$secret\"/" "$(dirname "$0")/jd-client/solo.toml" > "$dir/solo.toml"
curl -sSf "$api/saved-configs/import?name=imported&fresh_keys=true" -H 'Content-Type: application/toml' --data-binary @"$dir/solo.toml" > "$dir/said"
ran=$(post instances "{\"name\":\"barn\",\"config_id\":\"$barn\",\"memory_limit_mib\":512,\"restart_policy\":\"always\"}" | field instance_id)
post instances "{\"name\":\"garage\",\"config_id\":\"$garage\",\"nice\":5}" > "$dir/said"
curl -sSf -X POST "$api/instances/$ran/start" > "$dir/said"
sleep 20
curl -sSf -X POST "$api/health/$ran/check" > "$dir/said"
curl -sSf -X POST "$api/instances/$ran/stop" > "$dir/said"
channel=$(post alerts/channels '{"name":"hook","kind":"webhook","url":"http://127.0.0.1:9/hook","secret":"made for a fixture"}' | field channel_id)
post alerts/rules "{\"name\":\"low\",\"condition\":{\"kind\":\"metric\",\"metric\":\"hashrate_miners\",\"side\":\"below\",\"threshold\":1e12},\"for_s\":300,\"instance_id\":\"$ran\",\"channels\":[\"$channel\"]}" > "$dir/said"
curl -sSf -X PATCH "$api/backups/settings" --json '{"nightly":true,"hour":5,"keep":9}' > "$dir/said"
setup=$(curl -sSf "$api/setup" -d mode=SOLOMINING -H 'Accept: application/json' | field setup_id)
curl -sSf "$api/setup/$setup/provider" --json '{"template_provider":"sv2tp","template_provider_type.Sv2Tp.address":"127.0.0.1:8442"}' > "$dir/said"
sleep 2
stop

# Without --client, so that there is work on clients.
start
printf '#!/bin/sh\necho jd_client_sv2 0.6.0\n' > "$dir/jd_client_sv2"
curl -sSf "$api/updates/upload?name=jd_client_sv2" -H 'Content-Type: application/octet-stream' --data-binary @"$dir/jd_client_sv2" > "$dir/said"
sleep 3
post users '{"name":"ada","role":"admin","password":"correct horse battery"}' > "$dir/said"
curl -sSf -c "$dir/jar" "$api/login" --json '{"name":"ada","password":"correct horse battery"}' > "$dir/said"
auth=(-b "$dir/jar")
post users '{"name":"bob","role":"viewer","password":"four words that rhyme"}' > "$dir/said"
token=$(post tokens '{"name":"grafana","role":"viewer"}' | field token)
sleep 1
stop

# What the next start writes anew, what holds a secret in the clear, and what names this machine.
find "$dir/data" \( -name '*.lock' -o -name '*.sock' -o -name keeper.json -o -name config.toml -o -name keeper.log \) -delete
rm -rf "$dir/data/instances/"*/logs "$dir/data/instances/"*/work
[[ ! -e $dir/data/jd-manager.sqlite3-wal ]]
tar -C "$dir/data" --sort=name --owner=0 --group=0 --numeric-owner -czf "$output" .
rm -r "$dir"
echo "token: $token, setup: $setup"
