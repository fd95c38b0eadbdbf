# needs: tests/data/colours.* tests/camvm/pictures/blue.png
#
# What uvcvideo does with incomplete frames depends on the kernel: drop them, or hand them on with an error flag.

handed_on=/sys/module/uvcvideo/parameters/nodrop

for nodrop in 1 0; do
    echo $nodrop >$handed_on
    uvcam_start --picture blue.png --truncate-every 3 --stall-after 13 --fps 3
    classify_in_background $colours --camera "$camera" --camera-format YUYV --camera-size 320x240
    wait_for 60 "the whole frames" has_records 9
    end_with TERM
    log_has "^classified 9 frames, dropped $((nodrop * 4)) (0 stale, $((nodrop * 4)) bad)" ||
        fail "not 9 whole frames and $((nodrop * 4)) bad ones"
    ! log_has skipped || fail "half a frame got as far as the classifier"
    [ "$(labels | grep -cx blue)" = 9 ] || fail "half a frame was classified"
    uvcam_stop
done
