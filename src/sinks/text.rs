//! Lines for people.

use std::io::{self, Write};

use super::{Record, Sink};

/// One line a result: source, frame, labels with their probabilities, time.
pub struct Text<W> {
    out: W,
    /// Sources so far were at most this wide; keeps the columns straight.
    source_width: usize,
}

impl<W: Write> Text<W> {
    pub fn new(out: W) -> Self {
        Text {
            out,
            source_width: 0,
        }
    }
}

impl<W: Write> Sink for Text<W> {
    fn emit(&mut self, record: &Record) -> io::Result<()> {
        self.source_width = self.source_width.max(record.source.chars().count());
        let mut line = format!("{:<width$}", record.source, width = self.source_width);
        line += &format!(" {:>5}  {:6.1} ms ", record.frame, record.latency_ms.total);
        for (place, prediction) in record.top.iter().enumerate() {
            let separator = if place == 0 { " " } else { "  |  " };
            line += &format!(
                "{separator}{:.1}% {}",
                prediction.score * 100.0,
                prediction.label
            );
        }
        if record.top.is_empty() {
            line += " nothing above the threshold";
        }
        line.push('\n');
        self.out.write_all(line.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::record::example;

    #[test]
    fn a_record_is_one_line() {
        let mut bytes = Vec::new();
        let mut sink = Text::new(&mut bytes);
        sink.emit(&example()).unwrap();
        let mut unsure = example();
        unsure.top.clear();
        unsure.source = "a.jpg".to_owned();
        sink.emit(&unsure).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "a \"b\".jpg     3    11.9 ms  87.5% giant panda  |  6.2% tench\n\
             a.jpg         3    11.9 ms  nothing above the threshold\n"
        );
    }
}
