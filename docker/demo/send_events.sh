#!/bin/sh
# Stream inference events for ever: clean ones, ones that changed without harm, clean ones, harmful ones.
# At 25 events a second a window of 50 closes every 2 s.
set -eu

data=/var/lib/drift-monitor/data
config=/etc/drift-monitor/monitor.yaml

while true; do
  for phase in clean brighter clean harmful; do
    echo "Sending $phase events."
    drift-monitor send -c "$config" --topic inference-events --rate 25 "$data/$phase.jsonl"
  done
done
