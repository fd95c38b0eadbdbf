//! Names like one that is not there.

/// The most similar of `candidates`, best first; none that are quite different.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    const MOST: usize = 3;
    const SIMILAR: f64 = 0.8;
    let mut near: Vec<_> = candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(candidate, name), candidate))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.truncate(MOST);
    near.into_iter().map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        let names = ["mobilenetv3_100", "mobilenetv3_075", "mixnet_s"].map(str::to_owned);
        assert_eq!(nearest("mobilenetv3_10O", &names)[0], "mobilenetv3_100");
        assert!(nearest("resnet", &names).is_empty());
    }
}
