//! How the classes of a model are called.

use std::collections::BTreeMap;

use crate::model::Labels;

/// WordNet ids of ImageNet's classes in index order: <https://image-net.org/challenges/LSVRC/2012/>, sorted.
const SYNSETS: &str = include_str!("../../models/imagenet_synsets.txt");

/// The names of a model's classes.
#[derive(Debug)]
pub struct Classes {
    count: usize,
    by_name: BTreeMap<String, usize>,
    /// Labels of several classes, which name none of them.
    shared: BTreeMap<String, Vec<usize>>,
}

impl Classes {
    /// The labels of a model, and ImageNet's WordNet ids if it has as many classes.
    pub fn new(labels: &Labels) -> Self {
        let mut indices: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, label) in labels.iter().enumerate() {
            indices.entry(label.to_owned()).or_default().push(index);
        }
        let (single, shared): (BTreeMap<_, _>, BTreeMap<_, _>) = indices
            .into_iter()
            .partition(|(_, indices)| indices.len() == 1);
        let mut by_name: BTreeMap<_, _> = single
            .into_iter()
            .map(|(label, indices)| (label, indices[0]))
            .collect();
        let synsets = SYNSETS.lines().enumerate();
        if labels.len() == synsets.clone().count() {
            by_name.extend(synsets.map(|(index, id)| (id.to_owned(), index)));
        }
        Classes {
            count: labels.len(),
            by_name,
            shared,
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// A class by WordNet id or label.
    pub fn by_name(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// A class by its index.
    pub fn by_number(&self, number: &str) -> Option<usize> {
        number.parse().ok().filter(|index| *index < self.count)
    }

    /// The classes that share this label, if there are several.
    pub fn sharing(&self, label: &str) -> Option<&[usize]> {
        self.shared.get(label).map(Vec::as_slice)
    }

    #[cfg(test)]
    pub(super) fn imagenet_for_tests() -> Self {
        let path = std::path::Path::new("models/imagenet_labels.txt");
        Classes::new(&Labels::read(path, 1000).unwrap())
    }

    #[cfg(test)]
    pub(super) fn for_tests(labels: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("labels.txt");
        std::fs::write(&path, labels.join("\n")).unwrap();
        Classes::new(&Labels::read(&path, labels.len()).unwrap())
    }
}

/// Indices of classes, for an error.
pub(super) fn indices(classes: &[usize]) -> String {
    let texts: Vec<_> = classes.iter().map(usize::to_string).collect();
    crate::text::some(&texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_several_classes_names_none() {
        let classes = Classes::for_tests(&["crane", "jay", "crane"]);
        assert_eq!(classes.by_name("crane"), None);
        assert_eq!(classes.sharing("crane"), Some(&[0, 2][..]));
        assert_eq!(classes.by_name("jay"), Some(1));
        assert_eq!(classes.sharing("jay"), None);
        assert_eq!(
            (classes.by_number("2"), classes.by_number("3")),
            (Some(2), None)
        );
        assert_eq!(
            Classes::imagenet_for_tests().by_name("n15075141"),
            Some(999)
        );
    }
}
