//! JSON Lines.

use std::io::{self, Write};

use super::{Record, Sink};

/// One JSON object a line.
pub struct JsonLines<W>(pub W);

impl<W: Write> Sink for JsonLines<W> {
    fn emit(&mut self, record: &Record) -> io::Result<()> {
        // One write a record, so that a reader never sees half a line for long.
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::record::example;

    #[test]
    fn a_record_is_one_line() {
        let mut bytes = Vec::new();
        JsonLines(&mut bytes).emit(&example()).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            concat!(
                r#"{"ts":"2026-11-24T05:06:07.891Z","source":"a \"b\".jpg","frame":3,"#,
                r#""model":"tiny","latency_ms":{"decode":1.5,"preprocess":0.25,"#,
                r#""inference":10.125,"total":11.9},"top":[{"index":388,"label":"giant panda","#,
                r#""score":0.875},{"index":0,"label":"tench","score":0.0625}]}"#,
                "\n"
            )
        );
    }
}
