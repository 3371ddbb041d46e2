#!/usr/bin/env bash
# Stands in for the data worker: a `synthesize` that writes three small files, and waits while there is a file `wait` in
# the folder that it was started in.
if [ "$1" = --info ]; then
  echo '{"protocol":1,"kinds":{"synthesize":1},"tools":{"ffmpeg":"none"},"libraries":[]}'
  exit
fi
while read -r line; do
  [[ $line =~ \"id\":([0-9]+) ]] && id=${BASH_REMATCH[1]}
  [[ $line =~ \"seed\":([0-9]+) ]] && seed=${BASH_REMATCH[1]}
  [[ $line =~ \"output\":\"([^\"]*)\" ]] && output=${BASH_REMATCH[1]}
  mkdir -p "$output/videos/A" "$output/lists"
  echo "video $seed" >"$output/videos/A/v_A_g01_c01.avi"
  echo "the same video" >"$output/videos/A/v_A_g02_c01.avi"
  echo "1 A" >"$output/lists/classInd.txt"
  while [ -e wait ]; do sleep 0.02; done
  echo "{\"reply\":\"finished\",\"id\":$id,\"summary\":[\"seed $seed\"]}"
done
