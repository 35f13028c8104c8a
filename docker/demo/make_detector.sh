#!/bin/sh
# Train a classifier, distil it and publish the reference; once, then the volume has it.
set -eu

home=/var/lib/drift-monitor
config=/etc/drift-monitor/monitor.yaml

if [ ! -e "$home/digits/detector.json" ]; then
  python /opt/demo/make_events.py "$home/data"
  drift-monitor fit --teacher "$home/data/teacher.keras" --data "$home/data/train.npy" --output "$home/digits"
  drift-monitor reference build --bundle "$home/digits" --data "$home/data/reference.npy"
fi
drift-monitor reference push -c "$config"
drift-monitor check -c "$config"
