# needs: tests/data/colours.*

vivid_start
vivid_show red
classify_in_background $colours --camera "$vivid"
wait_for 60 "results" has_records 3
end_with INT
