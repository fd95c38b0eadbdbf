//! Wording that errors and tables share.

/// The first few of many names, and how many more there are.
pub fn some(names: &[String]) -> String {
    some_of(names, names.len())
}

/// The first few of `total` names, of which `names` need not have more than that.
pub fn some_of(names: &[String], total: usize) -> String {
    let shown = &names[..names.len().min(SHOWN)];
    let more = match total.saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &more
}

/// Without what would break a line or a terminal.
pub fn one_line(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.trim_end().chars().map(printable).collect()
}

/// Names that an error shows of many.
pub const SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let names = |count: usize| (1..=count).map(|n| n.to_string()).collect::<Vec<_>>();
        for (count, text) in [
            (0, ""),
            (1, "1"),
            (5, "1, 2, 3, 4, 5"),
            (7, "1, 2, 3, 4, 5 and 2 more"),
        ] {
            assert_eq!(some(&names(count)), text);
        }
        assert_eq!(some_of(&names(1), 90), "1 and 89 more");
    }
}
