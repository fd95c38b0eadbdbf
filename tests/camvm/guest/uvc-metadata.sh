# needs: tests/data/colours.*
#
# A USB camera's second node gives no pictures, which is easily taken for a broken camera.

uvcam_start
classify $colours --camera "$metadata" --frames 1
expect_refusal "$metadata (.*): a metadata node.*use the camera's other node"
uvcam_stop
