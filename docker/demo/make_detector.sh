#!/bin/sh
# Train a classifier, distil it, and put the reference in force; once, then the volume and Redis have them.
set -eu

home=/var/lib/drift-monitor
data=$home/data
config=/etc/drift-monitor/monitor.yaml

if [ ! -e "$home/digits/detector.json" ]; then
  python /opt/demo/make_events.py "$data"
  drift-monitor fit --teacher "$data/teacher.keras" --data "$data/train.npy" \
    --reference-data "$data/reference.npy" --epochs 50 --output "$home/digits"
fi
drift-monitor reference push -c "$config"
drift-monitor check -c "$config"
