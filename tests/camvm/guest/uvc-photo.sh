# needs: models/tf_efficientnet_lite0.plan
# needs: tests/photos/labelled/panda.jpg
#
# A photograph seen by a camera is classified as its file is.

panda=388

uvcam_start --picture panda.jpg
classify $efficientnet --camera "$camera" --camera-format MJPG --camera-size 640x480 --frames 1
expect_frames 1
[ "$(indices)" = $panda ] || fail "the camera's picture is taken for $(labels)"
uvcam_stop

classify $efficientnet --source panda.jpg
expect_frames 1
[ "$(indices)" = $panda ] || fail "the file's picture is taken for $(labels)"
